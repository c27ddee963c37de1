# SPDX-License-Identifier: Apache-2.0
"""Protect: the guard decides at run time what the plan allows, for models and tools."""

# SPDX-License-Identifier: Apache-2.0
"""Syntax with positions: texts to values. One file a syntax; nothing here knows what anything means."""

# SPDX-License-Identifier: Apache-2.0
"""Pickles: what the readers would import, call and change."""

# SPDX-License-Identifier: Apache-2.0
"""Prove: are the controls really there, and are the artefacts what they should be?"""

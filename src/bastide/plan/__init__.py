# SPDX-License-Identifier: Apache-2.0
"""Describe: the model of an AI system, read from `bastide.yaml` with positions, saved, compared and exchanged."""

# SPDX-License-Identifier: Apache-2.0
"""One file for each thing that says something about a model: its card, configurations, weights, requirements, licences, data, plan."""

# SPDX-License-Identifier: Apache-2.0
"""What can be seen in a text: secrets, personal data, injections, hidden characters and encoded payloads.

The run-time guard and the checks of data sets and artefacts look with the same eyes. Everything here is pure, and linear in time (RE2).
"""

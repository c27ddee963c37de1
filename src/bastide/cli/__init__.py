# SPDX-License-Identifier: Apache-2.0
"""The command line: one small file for each command, without logic of its own."""

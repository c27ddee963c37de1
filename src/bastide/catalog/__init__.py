# SPDX-License-Identifier: Apache-2.0
"""What we know: loads, checks and serves the knowledge folder and users' packs."""

# SPDX-License-Identifier: Apache-2.0
"""Where people decide: a page and an API for approvals."""

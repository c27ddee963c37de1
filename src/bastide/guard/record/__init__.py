# SPDX-License-Identifier: Apache-2.0
"""What the guard writes down: entries in the ledger, spans, security events and metrics."""

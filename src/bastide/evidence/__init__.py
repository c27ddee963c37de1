# SPDX-License-Identifier: Apache-2.0
"""Evidence that can't be changed unnoticed: the hash-chained, signed ledger."""

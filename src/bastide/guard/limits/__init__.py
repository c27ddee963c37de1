# SPDX-License-Identifier: Apache-2.0
"""How much: budgets over sliding windows, limits on loops and fan-out, signals of abuse, quarantine."""

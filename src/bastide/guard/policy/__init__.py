# SPDX-License-Identifier: Apache-2.0
"""May they? The policy, compiled from the plan: who may use what (`routes`), what each thing means (`meanings`), Cedar, rulings."""

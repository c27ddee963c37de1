# SPDX-License-Identifier: Apache-2.0
"""May they? The policy, compiled from the plan.

`routes` reads from the flows who may use what, `meanings` resolves what each name on the wire means, `compile` writes both as Cedar (with
`own`, the user's policies), `decide` answers questions in sentences from `reasons`, `explain` finds what would change an answer, and
`retrieval` keeps searches inside the caller's tenant and clearance.
"""

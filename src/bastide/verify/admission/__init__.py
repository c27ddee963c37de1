# SPDX-License-Identifier: Apache-2.0
"""Whether a model may be used: one decision over its scan, its signatures, its description, its lineage and the approvals of people."""

# SPDX-License-Identifier: Apache-2.0
"""With whose consent: single-use approvals of exactly one call, where they are kept, and how people are asked."""

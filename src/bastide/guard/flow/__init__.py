# SPDX-License-Identifier: Apache-2.0
"""What flows where: labels of a conversation (`session`), provenance of a call's arguments (`provenance`), tools and answers.

Values are traced first and the session's taint comes second (ADR 0009). The ideas are those of CaMeL (arXiv 2503.18813) and FIDES
(arXiv 2505.23643); here they work on conversations as they are, without a planner of their own.
"""

# SPDX-License-Identifier: Apache-2.0
"""Think: from a plan and the catalogue to threats, attack paths, ratings, questions and the controls that help most."""

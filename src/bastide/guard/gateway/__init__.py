# SPDX-License-Identifier: Apache-2.0
"""The edge of the guard: HTTP in, HTTP out."""

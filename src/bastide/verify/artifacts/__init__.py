# SPDX-License-Identifier: Apache-2.0
"""Model files: what they are, and what loading them would do."""

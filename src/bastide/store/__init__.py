# SPDX-License-Identifier: Apache-2.0
"""Everything that keeps, behind the ports of what needs it kept."""

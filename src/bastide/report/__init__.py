# SPDX-License-Identifier: Apache-2.0
"""Everything that renders: the HTML report, pictures, and the formats for other tools."""

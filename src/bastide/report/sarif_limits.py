# SPDX-License-Identifier: Apache-2.0
"""What SARIF documents must keep to.

GitHub's documentation "SARIF support for code scanning": texts of at most 1,024 characters, 20 tags a rule, 5,000 results shown,
relative addresses, `security-severity` as a number from 0 to 10 in a text.
"""

from __future__ import annotations

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
MAX_RESULTS = 5_000
MAX_TEXT, MAX_TAGS = 1_024, 20

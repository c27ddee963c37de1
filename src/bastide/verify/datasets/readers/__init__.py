# SPDX-License-Identifier: Apache-2.0
"""Readers of data sets' formats: each gives rows in batches, and says what it did not read."""

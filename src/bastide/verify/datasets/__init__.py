# SPDX-License-Identifier: Apache-2.0
"""What is in a data set, and whether it is what it is said to be: personal data, secrets, labels, splits, poisoning, licence, provenance."""

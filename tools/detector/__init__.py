# SPDX-License-Identifier: Apache-2.0
"""What `tools/train_detector.py` consists of."""

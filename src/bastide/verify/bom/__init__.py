# SPDX-License-Identifier: Apache-2.0
"""Bills of materials of models: what a model is, what it was made from and with, and what nobody has said about it."""

# SPDX-License-Identifier: Apache-2.0
"""How likely a text is an attack on a language model: a small linear model, and a transformer for what it is not sure about."""

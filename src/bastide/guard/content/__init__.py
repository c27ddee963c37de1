# SPDX-License-Identifier: Apache-2.0
"""Content checks: what stands in a text that a person, a document, a tool or a model wrote.

Detection is a signal, never the guarantee: the best detectors miss about half of the attacks. What tainted text may cause is decided by
the policy. Everything here is pure and synchronous.
"""

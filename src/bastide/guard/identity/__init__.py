# SPDX-License-Identifier: Apache-2.0
"""Who calls: API keys, OIDC tokens and certificates that a proxy has checked become a `Caller`; and the guard's own credentials."""

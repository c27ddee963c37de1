# SPDX-License-Identifier: Apache-2.0
"""Who vouches for a model: signatures in the format of OpenSSF model signing, attestations, and a policy that says whose count."""

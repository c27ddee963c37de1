# SPDX-License-Identifier: Apache-2.0
"""Archives and compressed streams, read by our own bounded code: libraries hide what loaders disagree about."""

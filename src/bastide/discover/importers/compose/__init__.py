# SPDX-License-Identifier: Apache-2.0
"""Docker Compose: files, their overrides, includes and extensions, profiles and environment files."""

from bastide.discover.importers.compose.importer import Compose

__all__ = ["Compose"]

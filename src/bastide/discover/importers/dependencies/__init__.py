# SPDX-License-Identifier: Apache-2.0
"""Files that say which libraries a program needs; lock files only give their versions."""

from bastide.discover.importers.dependencies.importer import Dependencies

__all__ = ["Dependencies"]

# SPDX-License-Identifier: Apache-2.0
"""Python code: which calls of which libraries stand in it, with their arguments as far as the text says them. Nothing is imported or run."""

from bastide.discover.importers.python.importer import Python

__all__ = ["Python"]

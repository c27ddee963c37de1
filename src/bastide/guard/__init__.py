# SPDX-License-Identifier: Apache-2.0
"""Protect: the guard decides at run time what the plan allows, for models and tools.

`Guard` is the library: the same engine as the gateway's, inside of an agent's own process.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bastide.guard.library import Guard, Session

__all__ = ["Guard", "Session"]


def __getattr__(name: str) -> Any:
    """The library's names, imported when they are used: the words of the guard must not cost its engine."""
    if name in __all__:
        from bastide.guard import library

        return getattr(library, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

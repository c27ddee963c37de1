# SPDX-License-Identifier: Apache-2.0
"""Parsed modules, as many as there is room for."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection
from typing import Generic, TypeVar

from bastide.discover.model import Place, Problem

KEPT = 1_000_000
"""Characters of parsed modules that are kept; a syntax tree takes seventy times its text."""
TIMES = 3
"""How often modules are parsed, on average; when they are used up, what another module says stays unknown."""

M = TypeVar("M")


class Kept(Generic[M]):
    """Parsed modules by file; those used longest ago go when there are too many.

    What a module becomes is found once, because that may lead through many others; when it is parsed again, it is recalled.
    """

    def __init__(
        self,
        files: Collection[str],
        parse: Callable[[str], tuple[M | None, int]],
        identify: Callable[[M], None],
        recall: Callable[[M], None],
    ) -> None:
        """`parse` gives a module, None when it can't be read, and its size in characters."""
        self._parse, self._identify, self._recall = parse, identify, recall
        self._left = TIMES * len(files)
        self._modules: OrderedDict[str, tuple[M | None, int]] = OrderedDict()
        self._held = 0
        self._known: set[str] = set()
        self._waiting: dict[str, None] = {}
        self._busy = False
        self.problem: Problem | None = None
        """What is missing, once something was left out for want of room."""

    def get(self, file: str) -> M | None:
        """The module of a file. Those to which it leads are identified after it, not within: chains of imports are long."""
        module = self._module(file)
        if module is not None and file not in self._known:
            self._waiting[file] = None
            if not self._busy:
                self._busy = True
                while self._waiting:
                    self._settle(self._waiting.popitem()[0])
                self._busy = False
        return module

    def other(self, file: str) -> M | None:
        """The module of a file to which another one leads; None, which is said, when modules were parsed too often."""
        if self._left > 0 or file in self._modules:
            return self.get(file)
        why = "so many modules import each other that it wasn't looked up again what they say of each other: some of it may be missing"
        self.problem = self.problem or Problem(Place(file), why)
        return None

    def _module(self, file: str) -> M | None:
        if file in self._modules:
            self._modules.move_to_end(file)
            return self._modules[file][0]
        self._left -= 1
        module, size = self._parse(file)
        self._keep(file, module, size)
        if module is not None and file in self._known:
            self._recall(module)
        return module

    def _settle(self, file: str) -> None:
        module = self._module(file)
        if module is not None and file not in self._known:
            self._known.add(file)
            self._identify(module)

    def _keep(self, file: str, module: M | None, size: int) -> None:
        if file not in self._modules:
            self._held += size
        self._modules[file] = module, size
        while len(self._modules) > 1 and self._held > KEPT:
            self._held -= self._modules.popitem(last=False)[1][1]

# SPDX-License-Identifier: Apache-2.0
"""What functions of the tree are given: the arguments of their calls, for each of their parameters."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from tree_sitter import Node

from bastide.discover.importers.typescript.module import Module, Scope, bare
from bastide.discover.importers.typescript.names import Here, prop
from bastide.discover.importers.typescript.patterns import bound_names

_SITES = 6


class Given:
    """Calls of functions of the tree, collected while modules are read: file and number of the call, so that no module is held."""

    def __init__(self, module: Callable[[str], Module | None]) -> None:
        self._module = module
        self._sites: dict[tuple[str, int], list[tuple[str, int]]] = {}

    def add(self, number: int, function: Here | None, module: Module) -> None:
        """A call of a module, with the function of the tree that it calls."""
        if function is not None:
            sites = self._sites.setdefault((function.module.file, function.node.start_byte), [])
            if len(sites) < _SITES:
                sites.append((module.file, number))

    def arguments(self, name: str, scope: Scope, module: Module) -> Iterator[tuple[Node, Scope, Module]]:
        """The expressions that are handed in for a parameter, with where they stand."""
        found = _parameter(name, scope)
        if found is None:
            return
        function, position, path = found
        for file, number in self._sites.get((module.file, function.start_byte), ()):
            home = self._module(file)
            if home is None or number >= len(home.calls):
                continue
            call = home.calls[number]
            given = call.node.child_by_field_name("arguments")
            arguments = [n for n in (given.named_children if given is not None else ()) if n.type != "comment"]
            value = bare(arguments[position]) if position < len(arguments) else None
            for step in path:
                value = prop(value, step) if value is not None else None
            if value is not None:
                yield value, call.scope, home


def _parameter(name: str, scope: Scope) -> tuple[Node, int, tuple[str, ...]] | None:
    """The function whose parameter a name is, its position, and the properties of the argument for which it stands."""
    for outer in scope.around():
        if name not in outer.names:
            continue
        binding, function = outer.names[name], outer.node
        if binding is None or binding.node is not None or binding.source or function is None or outer.is_class:
            return None
        parameters = function.child_by_field_name("parameters")
        for position, parameter in enumerate(parameters.named_children if parameters is not None else ()):
            pattern = parameter.child_by_field_name("pattern")
            for bound, path in bound_names(pattern) if pattern is not None else ():
                if bound == name:
                    return function, position, path
        return None
    return None

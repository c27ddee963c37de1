# SPDX-License-Identifier: Apache-2.0
"""Whose host a name is: in the same project, namespace or folder first, then in the cluster. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Generic, TypeVar

from bastide.discover.model import Resource

_ADDRESS = re.compile(
    r"(?:[a-z][a-z0-9+.-]{1,30}://)?(?:[^\s/@]{1,200}@)?([A-Za-z0-9](?:[\w.-]{0,252}[A-Za-z0-9])?)(:\d{1,5})?(?=[/,;\s\"'\])}]|\Z)"
)
_HOST = "host:"
_TEXT = 4096
_Thing = TypeVar("_Thing")


class Hosts(Generic[_Thing]):
    """Looks hosts up in names such as `host:store@compose:deploy`. What is looked up over all of them is made when it is first needed."""

    def __init__(self, names: Mapping[str, _Thing]) -> None:
        self._names = names
        self._labels: frozenset[str] | None = None
        self._cluster: dict[str, list[_Thing]] | None = None

    def named(self, text: str, who: Resource) -> Iterator[_Thing]:
        """The things whose hosts stand in a text of a resource."""
        for match in _ADDRESS.finditer(text[:_TEXT]):
            host = match[1].lower()
            for name in (f"{_HOST}{host}@{who.scope}", f"{_HOST}{host}"):
                if name in self._names:
                    yield self._names[name]
                    break
            else:
                yield from self._in_cluster(host, who)

    def declared(self, host: str) -> bool:
        """Whether something in the tree has a name for hosts that begins like that, wherever it stands."""
        if self._labels is None:
            names = (n.removeprefix(_HOST).partition("@")[0] for n in self._names if n.startswith(_HOST))
            self._labels = frozenset(n.partition(".")[0].lower() for n in names)
        return host.lower() in self._labels

    def _in_cluster(self, host: str, who: Resource) -> Iterator[_Thing]:
        """Whoever has a name of a cluster, wherever it is declared: `store.data`, `store.data.svc.cluster.local`."""
        if self._cluster is None:
            self._cluster = {}
            for name, thing in self._names.items():
                if name.startswith(_HOST) and "@kubernetes:" in name and "." in name.partition("@")[0]:
                    self._cluster.setdefault(name.removeprefix(_HOST).partition("@")[0], []).append(thing)
        space = next((str(v.data) for v in who.find("namespace")), "")
        whole = host if "." in host else f"{host}.{space}"
        # A pod of a service without an address of its own: `store-0.store.data.svc`.
        things = self._cluster.get(whole) or self._cluster.get(whole.partition(".")[2], [])
        if len({id(thing) for thing in things}) == 1:
            yield things[0]

# SPDX-License-Identifier: Apache-2.0
"""CPython's own readers of pickles, given nothing but inert stand-ins: what they would import, call and change, without doing it."""

from __future__ import annotations

import contextlib
import io
import pickle
import resource
from collections.abc import Callable, Iterator
from typing import Any

from bastide.verify.process import address_space, limit_address_space

Event = tuple[str, str]
"""What is done, and to what."""


class Standin:
    """Stands for whatever is imported or made; remembers what is done to it and does nothing."""

    path: str
    events: list[Event]

    def __new__(cls, *arguments: Any, **named: Any) -> Any:
        cls.events.append(("call", cls.path))
        return object.__new__(cls)

    def __init__(self, *arguments: Any, **named: Any) -> None:
        pass

    def __call__(self, *arguments: Any, **named: Any) -> Any:
        self.events.append(("call", self.path))
        return object.__new__(type(self))

    def __setstate__(self, state: Any) -> None:
        self.events.append(("BUILD", self.path))

    def __setitem__(self, key: Any, value: Any) -> None:
        self.events.append(("put", self.path))

    def extend(self, items: Any) -> None:
        self.events.append(("put", self.path))

    append = add = extend


@contextlib.contextmanager
def _little_memory() -> Iterator[None]:
    """The C reader makes room for memo numbers without a bound: twelve bytes ask for 16 GB."""
    before = resource.getrlimit(resource.RLIMIT_AS)[0]
    limit_address_space(address_space() + (256 << 20))
    try:
        yield
    finally:
        limit_address_space(before)


def _reader(base: Any) -> Callable[[bytes], tuple[list[Event], str]]:
    class Reader(base):  # type: ignore[misc]
        def __init__(self, data: bytes) -> None:
            super().__init__(io.BytesIO(data))
            self.events: list[Event] = []

        def find_class(self, module: str, name: str) -> Any:
            self.events.append(("import", f"{module}.{name}"))
            return type("Made", (Standin,), {"path": f"{module}.{name}", "events": self.events})

        def persistent_load(self, pid: Any) -> Any:
            self.events.append(("persistent", ""))
            return None

    def read(data: bytes) -> tuple[list[Event], str]:
        reader = Reader(data)
        try:
            with _little_memory():
                reader.load()
        except Exception as problem:  # noqa: BLE001 - every error is an answer of the oracle
            return reader.events, f"{type(problem).__name__}: {problem}"
        return reader.events, ""

    return read


c_reader = _reader(pickle.Unpickler)
python_reader = _reader(pickle._Unpickler)  # type: ignore[attr-defined]

# SPDX-License-Identifier: Apache-2.0
"""What the opcodes of literals do: they are passed, and their place goes on the stack."""

from __future__ import annotations

from collections.abc import Callable

from bastide.verify.artifacts.pickles import opcodes
from bastide.verify.artifacts.pickles.literals import Buffer
from bastide.verify.artifacts.pickles.state import End, State, Stopped


def fixed(width: int) -> Callable[[State], None]:
    """A literal of `width` bytes."""

    def step(vm: State) -> None:
        vm.pos += width
        if vm.pos > vm.size:
            raise Stopped(End.TRUNCATED, "the data end before the pickle does")
        vm.stack.append(vm.at)

    return step


def short_text(vm: State) -> None:
    """A text of up to 255 bytes."""
    start = vm.pos + 1
    vm.pos = start + vm.data[vm.pos]
    if vm.pos > vm.size:
        raise Stopped(End.TRUNCATED, "the data end before the pickle does")
    if not _is_utf8(vm.data, start, vm.pos - start):
        raise Stopped(End.ERROR, "a text is no UTF-8")
    vm.stack.append(vm.at)


def sized(width: int, *, signed: bool, kind: str) -> Callable[[State], None]:
    """A literal that says its size in `width` bytes first."""

    def step(vm: State) -> None:
        size = vm.number(width, signed=signed)
        if size < 0:
            raise Stopped(End.ERROR, "a size is negative")
        start = vm.take(size)
        if kind == "text" and not _is_utf8(vm.data, start, size):
            raise Stopped(End.ERROR, "a text is no UTF-8")
        vm.stack.append(vm.at)

    return step


def _is_utf8(data: Buffer, start: int, size: int) -> bool:
    raw = bytes(data[start : start + size])
    if raw.isascii():
        return True
    try:
        raw.decode("utf-8", "surrogatepass")
    except UnicodeDecodeError:
        return False
    return True


def number_line(vm: State) -> None:
    """A number in digits, up to a line feed."""
    raw = vm.line()
    code = vm.data[vm.at]
    plain = raw.removesuffix(b"L") if code == 0x4C else raw
    if not raw:
        raise Stopped(End.ERROR, "a number is empty")
    if not plain.removeprefix(b"-").isdigit() and (code != 0x46 or not _plain_float(plain)):
        # Bases, underscores, blanks, signs: what is taken depends on the reader and on its version.
        vm.disagree(f"{opcodes.NAMES[code]} with `{plain[:40].decode('ascii', 'backslashreplace')}`")
    vm.stack.append(vm.at)


def _plain_float(raw: bytes) -> bool:
    allowed = raw in (b"nan", b"inf", b"-inf") or not raw.strip(b"0123456789+-.e")
    try:
        float(raw)
    except ValueError:
        return False
    return allowed


def string_line(vm: State) -> None:
    """A quoted string of Python 2, up to a line feed."""
    raw = vm.line()
    if len(raw) < 2 or raw[0] != raw[-1] or raw[:1] not in (b"'", b'"'):
        raise Stopped(End.ERROR, "STRING isn't quoted")
    vm.stack.append(vm.at)


def unicode_line(vm: State) -> None:
    """A text with escapes, up to a line feed."""
    vm.line()
    vm.stack.append(vm.at)

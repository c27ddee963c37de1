# SPDX-License-Identifier: Apache-2.0
"""What each opcode does."""

from __future__ import annotations

from collections.abc import Callable

from bastide.verify.artifacts.pickles import opcodes, pushes
from bastide.verify.artifacts.pickles.leap import ELASTIC
from bastide.verify.artifacts.pickles.state import MAX_KEPT, NO_FRAME, End, State, Stopped, Unseen
from bastide.verify.artifacts.pickles.values import BUFFER, DICT, FROZENSET, LIST, SET, Imported, Items, Plain, Value

_NONE = ord("N")

# Containers


def _make(kind: Value) -> Callable[[State], None]:
    def step(vm: State) -> None:
        vm.stack.append(kind)

    return step


def _dict(vm: State) -> None:
    vm.stack.append(Items({}) if vm.keeping else DICT)


def _mark(vm: State) -> None:
    vm.fence = len(vm.stack)
    vm.marks.append(vm.fence)


def _tuple(vm: State) -> None:
    vm.stack.append(vm.popped())


def _counted_tuple(count: int) -> Callable[[State], None]:
    def step(vm: State) -> None:
        stack = vm.stack
        if stack[vm.fence :][:1] == [ELASTIC] and len(stack) - count <= vm.fence:
            raise Unseen
        if len(stack) - count < vm.fence:
            raise vm.underflow()
        stack[-count:] = [tuple(stack[-count:])]

    return step


def _collect(kind: Plain, even: bool) -> Callable[[State], None]:
    def step(vm: State) -> None:
        mark = vm.unmark()
        if even and (len(vm.stack) - mark) % 2 and vm.stack[mark] is not ELASTIC:
            raise Stopped(End.ERROR, "a DICT with a key and no value")
        del vm.stack[mark:]
        vm.stack.append(kind)

    return step


def _put_in(how: str, *, even: bool = False) -> Callable[[State], None]:
    def step(vm: State) -> None:
        mark = vm.unmark()
        _into(vm, mark, how, even=even)

    return step


def _put_one(how: str, count: int) -> Callable[[State], None]:
    def step(vm: State) -> None:
        _into(vm, len(vm.stack) - count, how, even=False)

    return step


def _into(vm: State, mark: int, how: str, *, even: bool) -> None:
    stack = vm.stack
    if mark <= vm.fence:
        raise vm.underflow()
    if stack[mark - 1] is ELASTIC:
        raise Unseen
    if even and stack[mark : mark + 1] != [ELASTIC] and (len(stack) - mark) % 2:
        raise Stopped(End.ERROR, "a key without a value")
    target = stack[mark - 1]
    if type(target) is Items:
        _keep(vm, target, stack[mark:])
    elif type(target) is not Plain and len(stack) > mark:
        vm.pos = vm.observer.changed(target, tuple(stack[mark:]), how, vm.pos)
    elif type(target) is not Plain and how == "APPENDS":
        vm.disagree("APPENDS of nothing: only the Python reader calls `extend`")
    del stack[mark:]


def _keep(vm: State, target: Items, entries: list[Value]) -> None:
    for key, value in zip(entries[::2], entries[1::2], strict=False):
        name = vm.text(key)
        if name is not None and (len(target.of) < MAX_KEPT or name[0] in target.of):
            target.of[name[0]] = value


# The stack and the memo


def _pop(vm: State) -> None:
    if len(vm.stack) > vm.fence and vm.stack[-1] is ELASTIC:
        raise Unseen
    if vm.marks and vm.marks[-1] == len(vm.stack):
        vm.unmark()
    else:
        vm.pop()


def _pop_mark(vm: State) -> None:
    del vm.stack[vm.unmark() :]


def _dup(vm: State) -> None:
    vm.stack.append(vm.top())


def _memoize(vm: State) -> None:
    if vm.sparse:
        vm.disagree("MEMOIZE after a memo number far beyond the others")
    if len(vm.stack) <= vm.fence or vm.stack[-1] is ELASTIC:
        raise vm.underflow()
    vm.memo[len(vm.memo)] = vm.stack[-1]


def _put(vm: State, index: int) -> None:
    if index > 2 * len(vm.memo) + 1:
        vm.sparse = True
    vm.memo[index] = vm.top()


def _binput(width: int) -> Callable[[State], None]:
    def step(vm: State) -> None:
        _put(vm, vm.number(width))

    return step


def _text_put(vm: State) -> None:
    index = _index(vm)
    if index < 0:
        raise Stopped(End.ERROR, "a memo number is negative")
    _put(vm, index)


def _get(vm: State, index: int) -> None:
    if index not in vm.memo:
        raise Stopped(End.ERROR, f"the memo has no {index}")
    vm.stack.append(vm.memo[index])


def _binget(width: int) -> Callable[[State], None]:
    def step(vm: State) -> None:
        _get(vm, vm.number(width))

    return step


def _binget1(vm: State) -> None:
    # By far the most frequent opcode that isn't a literal.
    vm.pos += 1
    index = vm.data[vm.at + 1]
    value = vm.memo.get(index)
    if value is None:
        raise Stopped(End.ERROR, f"the memo has no {index}")
    vm.stack.append(value)


def _text_get(vm: State) -> None:
    _get(vm, _index(vm))


def _index(vm: State) -> int:
    raw = vm.line()
    try:
        index = int(raw)
    except ValueError:
        raise Stopped(End.ERROR, "a memo number is no number") from None
    if not raw.isdigit():
        vm.disagree(f"a memo number written `{raw[:40].decode('ascii', 'backslashreplace')}`")
    return index


# Imports and calls


def _global(vm: State) -> None:
    names = _two_lines(vm)
    vm.stack.append(vm.observer.imported(Imported(*names, vm.at), "GLOBAL", vm.protocol))


def _two_lines(vm: State) -> tuple[str, str]:
    try:
        module, name = vm.line().decode("utf-8"), vm.line().decode("utf-8")
    except UnicodeDecodeError:
        raise Stopped(End.ERROR, "a name is no UTF-8") from None
    return module, name


def _stack_global(vm: State) -> None:
    name, module = vm.text(vm.pop()), vm.text(vm.pop())
    if name is None or module is None:
        # Texts that come of calls can't be known here; anything else is an error for every reader.
        found = Imported(module[0] if module else "?", name[0] if name else "?", vm.at)
        vm.stack.append(vm.observer.imported(found, "COMPUTED", vm.protocol))
        return
    how = "COMPUTED" if name[1] or module[1] else "STACK_GLOBAL"
    vm.stack.append(vm.observer.imported(Imported(module[0], name[0], vm.at), how, vm.protocol))


def _extension(width: int) -> Callable[[State], None]:
    def step(vm: State) -> None:
        code = vm.number(width, signed=width == 4)
        if code <= 0:
            raise Stopped(End.ERROR, "an extension code is not above 0")
        vm.stack.append(vm.observer.imported(Imported("copyreg", f"extension {code}", vm.at), "EXT", vm.protocol))

    return step


def _inst(vm: State) -> None:
    names = _two_lines(vm)
    if not vm.marks:
        vm.disagree("INST without a MARK: the Python reader imports first")
    callee = vm.observer.imported(Imported(*names, vm.at), "INST", vm.protocol)
    vm.stack.append(vm.observer.called(callee, vm.popped(), "INST", vm.at))


def _obj(vm: State) -> None:
    items = vm.popped()
    if not items:
        raise vm.underflow()
    vm.stack.append(vm.observer.called(items[0], items[1:], "OBJ", vm.at))


def _reduce(vm: State) -> None:
    arguments = vm.pop()
    callee = vm.pop()
    vm.stack.append(vm.observer.called(callee, arguments, "REDUCE", vm.at))


def _newobj(vm: State) -> None:
    arguments = vm.pop()
    callee = vm.pop()
    vm.stack.append(vm.observer.called(callee, arguments, "NEWOBJ", vm.at))


def _newobj_ex(vm: State) -> None:
    named = vm.pop()
    arguments = vm.pop()
    callee = vm.pop()
    vm.stack.append(vm.observer.called(callee, (arguments, named), "NEWOBJ_EX", vm.at))


def _build(vm: State) -> None:
    state = vm.pop()
    target = vm.top()
    none = isinstance(state, int) and vm.data[state] == _NONE
    if isinstance(target, (int, tuple, Plain, Items)) and not none:
        vm.disagree("BUILD of something that takes no state: with an empty one only the Python reader goes on")
    vm.pos = vm.observer.changed(target, state, "BUILD", vm.pos)


def _persid(vm: State) -> None:
    raw = vm.line()
    if not raw.isascii():
        raise Stopped(End.ERROR, "a persistent id is not ASCII")
    vm.stack.append(vm.observer.persistent(Plain("text", raw.decode()), vm.at))


def _binpersid(vm: State) -> None:
    vm.stack.append(vm.observer.persistent(vm.pop(), vm.at))


def _readonly(vm: State) -> None:
    vm.top()


# The whole


def _proto(vm: State) -> None:
    protocol = vm.number(1)
    if protocol > opcodes.HIGHEST_PROTOCOL:
        raise Stopped(End.ERROR, f"there is no protocol {protocol}")
    vm.protocol = protocol


def _frame(vm: State) -> None:
    size = vm.number(8)
    if size >= NO_FRAME:
        raise Stopped(End.ERROR, "a frame is too long for any reader")
    if vm.at < vm.frame_end != NO_FRAME and vm.pos < vm.frame_end:
        vm.disagree("a frame begins inside of another")
    if vm.pos + size > vm.size:
        vm.disagree("a frame is longer than the file")
    vm.frame_end = vm.pos + size if size else NO_FRAME


def _stop(vm: State) -> None:
    whole = len(vm.stack) > vm.fence and vm.stack[-1] is ELASTIC
    raise Stopped(End.STOP, value=ELASTIC if whole else vm.pop())


def _unknown(vm: State) -> None:
    raise Stopped(End.ERROR, f"there is no opcode {vm.data[vm.at]:#04x}")


def _table() -> list[Callable[[State], None]]:
    steps: dict[int, Callable[[State], None]] = {code: pushes.fixed(width) for code, width in opcodes.FIXED.items()}
    steps |= {
        code: pushes.sized(width, signed=code in opcodes.SIGNED, kind=kind)
        for code, (width, kind) in opcodes.SIZED.items()
    }
    steps |= {
        0x8C: pushes.short_text, 0x49: pushes.number_line, 0x4C: pushes.number_line, 0x46: pushes.number_line, 0x53: pushes.string_line,
        0x56: pushes.unicode_line, 0x28: _mark, 0x2E: _stop, 0x30: _pop, 0x31: _pop_mark, 0x32: _dup, 0x50: _persid,
        0x51: _binpersid, 0x52: _reduce, 0x61: _put_one("APPEND", 1), 0x62: _build, 0x63: _global,
        0x64: _collect(DICT, even=True), 0x7D: _dict, 0x65: _put_in("APPENDS"), 0x67: _text_get,
        0x68: _binget1, 0x69: _inst, 0x6A: _binget(4), 0x6C: _collect(LIST, even=False), 0x5D: _make(LIST),
        0x6F: _obj, 0x70: _text_put, 0x71: _binput(1), 0x72: _binput(4), 0x73: _put_one("SETITEM", 2), 0x74: _tuple,
        0x29: _make(()), 0x75: _put_in("SETITEMS", even=True), 0x80: _proto, 0x81: _newobj, 0x82: _extension(1),
        0x83: _extension(2), 0x84: _extension(4), 0x85: _counted_tuple(1), 0x86: _counted_tuple(2),
        0x87: _counted_tuple(3), 0x8F: _make(SET), 0x90: _put_in("ADDITEMS"), 0x91: _collect(FROZENSET, even=False),
        0x92: _newobj_ex, 0x93: _stack_global, 0x94: _memoize, 0x95: _frame, 0x97: _make(BUFFER),
        0x98: _readonly,
    }  # fmt: skip
    return [steps.get(code, _unknown) for code in range(256)]


STEPS = _table()

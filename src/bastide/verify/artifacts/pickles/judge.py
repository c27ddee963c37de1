# SPDX-License-Identifier: Apache-2.0
"""Decides what a pickle would do: which imports, calls and changes are harmless reconstruction, which do harm, and which nobody knows.

It is no list of forbidden names: what isn't known to be harmless isn't allowed to be called. The names that are known to do harm
(`knowledge/artifacts/pickle`) only make the findings clearer and worse.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable

from bastide.verify.artifacts.model import Finding, Severity, Tier
from bastide.verify.artifacts.pickles.callables import SHARED, SPECIAL
from bastide.verify.artifacts.pickles.formulas import DATA, check_formula
from bastide.verify.artifacts.pickles.knowledge import Entry, Knowledge, Standing, old_names
from bastide.verify.artifacts.pickles.literals import read_literal, shown_call
from bastide.verify.artifacts.pickles.machine import Machine
from bastide.verify.artifacts.pickles.places import Places
from bastide.verify.artifacts.pickles.values import DICT, UNKNOWN, Imported, Items, Made, Persistent, Plain, Value, show

ACTS = "acts as soon as it is imported"
"""What the knowledge says of modules that need not be called."""
_SETSTATE = "__setstate__"
_FORMATS = frozenset(
    f"torch.{name}" for name in ("channels_last", "channels_last_3d", "contiguous_format", "preserve_format")
)
MAX_FINDINGS = 200
"""Of one pickle: more say nothing new."""
_MERELY_NAMED = {
    "calls what it is given": Severity.LOW,
    "reads or writes files": Severity.MEDIUM,
}
"""Effects of which the name alone does nothing: somebody may call it later."""
Hook = Callable[[Machine, Value, int], int]
"""What a loader does at a BUILD: (machine, state, behind the opcode) -> where the reading goes on."""
_WORD = re.compile(r"[\w-]{1,64}\Z")
DESCRIBES = frozenset({"functools.partial", "numpy.dtype"})
"""Calls whose arguments are kept, because something later depends on them. Of millions of other objects nobody wants them."""


class Judge:
    """Judges one pickle; an `Observer` of its machine."""

    def __init__(
        self,
        knowledge: Knowledge,
        *,
        persistent: bool = False,
        hooks: dict[str, Hook] | None = None,
        own: tuple[str, ...] = (),
    ) -> None:
        """persistent: whether PyTorch gives objects for persistent ids; hooks: of loaders, by class.

        own: beginnings of names that the archive itself has, whose code is judged elsewhere.
        """
        self.knowledge = knowledge
        self._persistent = persistent
        self._hooks = hooks or {}
        self._own = own
        self.files: list[int] = []
        """Literals that are files themselves, which a call in the pickle loads."""
        self.states: dict[int, Value] = {}
        """What `numpy.dtype` was given as its state, by the offset of the call that made it."""
        self.skipped: list[tuple[int, int]] = []
        """Begin and end of the numbers that a loader takes for itself and that other loaders read as opcodes."""
        self._seen: set[tuple[str, str]] = set()
        self.findings: list[Finding] = []
        self.machine: Machine | None = None
        self._built, self._stated = Places(), Places()
        """Objects that have got their state, and those that have got entries, by the offsets of the calls that made them."""
        self.imports: set[str] = set()
        self.harmful: set[str] = set()
        """Names in code objects by which code does harm."""
        self.calls = 0
        """Everything that is called, harmless or not."""

    # What the machine tells

    def imported(self, value: Imported, how: str, protocol: int) -> Value:
        """See `Observer`."""
        if protocol < 3:
            value = Imported(*old_names(value.module, value.name), value.offset)
        if value.name in _FORMATS:
            # PyTorch writes these as attributes of whatever module has `torch` in it.
            if value.module not in ("__main__", "__mp_main__"):
                self.module(value.module, value.offset)
            value = Imported("torch", value.name.partition(".")[2], value.offset)
        self.imports.add(value.path)
        if how == "EXT":
            self.add(
                "extension-code",
                Severity.HIGH,
                value,
                "names something by an extension code, so that no name shows what it is",
            )
        elif how == "COMPUTED":
            self.add(
                "computed-name",
                Severity.CRITICAL,
                value,
                "builds the name of what it imports while it is loaded: nobody does that but to hide it",
            )
        elif _reaches_through(value.name) and not self._listed(value):
            self.add(
                "reaches-through",
                Severity.HIGH,
                value,
                "goes through a module to something that the module itself imported",
            )
        else:
            self._named(value)
        if (value.path in self._hooks or value.path.startswith(DATA)) and self.machine is not None:
            self.machine.keeping = True
        return value

    def called(self, callee: Value, arguments: Value, how: str, offset: int) -> Value:
        """See `Observer`."""
        self.calls += 1
        result = Made(callee, UNKNOWN, offset)
        match callee:
            case Imported():
                return self._called(callee, arguments, how, offset)
            case Made(by=Imported(module="functools", name="partial"), arguments=(function, *_)) if (
                callee.offset not in self._built
            ):
                return self.called(function, UNKNOWN, "REDUCE", offset)
            case Made() if how in ("NEWOBJ", "NEWOBJ_EX"):
                self.own_class(callee, offset)
            case Made():
                self.add("calls-a-result", Severity.HIGH, callee, "calls what another call made", offset)
            case Persistent():
                self.add("calls-persistent", Severity.MEDIUM, callee, "calls what the loading program gives it", offset)
            case _:
                self.broken("calls something that can't be called", offset)
        return result

    def changed(self, target: Value, state: Value, how: str, after: int) -> int:
        """See `Observer`."""
        if isinstance(target, Made) and self._again(target, state, how):
            self.add(
                "state-after-state", Severity.HIGH, target,
                "goes on with an object that has got its state, by which the methods that are called then can be replaced; no pickler does it", after,
            )  # fmt: skip
        match target:
            case Imported():
                self.add(
                    "changes-what-it-imports", Severity.HIGH, target,
                    "changes something that it imports, for the whole program that loads it", after,
                )  # fmt: skip
            case Made(by=Imported() as made) if made.path in SHARED:
                self.add(
                    "changes-what-it-imports", Severity.HIGH, target,
                    "changes something that the whole program which loads it uses", after,
                )  # fmt: skip
            case Made(by=Imported() as made) if how == "BUILD" and made.path.startswith(DATA):
                check_formula(self, state, after)
            case Made(by=Imported() as made) if how == "BUILD" and made.path in self._hooks and self.machine:
                return self._hooks[made.path](self.machine, state, after)
            case Made(by=Imported(module="numpy", name="dtype"), offset=place) if how == "BUILD" and self._hooks:
                self.states[place] = state
            case int() | tuple() | Plain() | Items() if how == "BUILD":
                self.broken("gives a state to something that takes none", after)
            case _:
                pass
        return after

    def _again(self, target: Made, state: Value, how: str) -> bool:
        """Whether an object is given something after its state. Picklers write items first, then the state, once."""
        if how in ("SETITEM", "SETITEMS"):
            self._stated.add(target.offset)
            if isinstance(target.by, Imported) and target.by.module.startswith("pandas."):
                # Tables have a state only; a function as a key would be called.
                return True
            keys = state[::2] if isinstance(state, tuple) else ()
            return any(isinstance(key, int) and self._names_setstate(key) for key in keys)
        if how == "BUILD":
            return self._built.add(target.offset)
        return how in ("APPEND", "APPENDS", "ADDITEMS") and (
            target.offset in self._built or target.offset in self._stated
        )

    def _names_setstate(self, key: int) -> bool:
        """Objects that show their items as attributes call this one."""
        return (
            self.machine is not None
            and self.machine.data[key + 1] == len(_SETSTATE)
            and self.machine.text(key) == (_SETSTATE, False)
        )

    def persistent(self, id: Value, offset: int) -> Value:
        """See `Observer`."""
        if not self._persistent:
            self.add(
                "persistent-id", Severity.MEDIUM, Persistent(id, offset),
                "needs a program of its own to be loaded; what that does isn't known", offset,
            )  # fmt: skip
            return Persistent(id, offset)
        match id:
            case (kind, Imported() as made, _, _, *_) if self.machine and (text := self.machine.text(kind)):
                if text[0] == "storage":
                    return Persistent(id, offset)
                if text[0] == "module":
                    return made
        self.put(
            "torch-id",
            Tier.MALFORMED,
            Severity.MEDIUM,
            offset,
            show(id),
            "asks for an object by an id that isn't PyTorch's; PyTorch stops there",
        )
        return Persistent(id, offset)

    def disagreement(self, offset: int, what: str) -> None:
        """See `Observer`."""
        self.put(
            "readers-disagree", Tier.MALFORMED, Severity.HIGH, offset, what,
            "Python's readers of pickles don't do the same here; an honest program never writes that, and it hides the rest from scanners",
        )  # fmt: skip

    # Calls

    def _called(self, callee: Imported, arguments: Value, how: str, offset: int) -> Value:
        path = self.knowledge.canonical(callee.path)
        if self._own and path.startswith(self._own):
            return Made(callee, UNKNOWN, offset)
        special = SPECIAL.get(path)
        if special is not None:
            return special(self, callee, arguments, offset)
        entry = self.knowledge.entry(callee.path)
        if entry.standing is Standing.CLASS:
            self._made(callee, arguments, how, offset)
        elif entry.standing in (Standing.VALUE, Standing.UNKNOWN) and how in ("NEWOBJ", "NEWOBJ_EX"):
            # The readers take nothing but a class here, and don't set it up. What is unknown was reported when it was imported.
            pass
        elif entry.standing is Standing.FUNCTION and how in ("NEWOBJ", "NEWOBJ_EX"):
            self.broken(f"makes an object of `{callee}`, which is no class", offset)
        elif entry == Entry(Standing.UNKNOWN) and self._like_a_member(callee, arguments):
            self.put(
                "sets-up-a-class", Tier.POLICY, Severity.MEDIUM, offset, shown_call(callee, arguments, self.machine),
                f"sets up `{callee}`, as members of enumerations and containers are written; nothing is known of it here",
            )  # fmt: skip
        elif entry.standing is not Standing.CALL:
            self.refused(callee, entry, arguments, offset)
        return Made(callee, arguments if path in DESCRIBES else UNKNOWN, offset)

    def own_class(self, made: Made, offset: int) -> None:
        """An object of a class that stands in the file as code: its `__new__` and `__setstate__` may run."""
        severity = Severity.HIGH if self.harmful else Severity.MEDIUM
        evidence = ", ".join(sorted(self.harmful)[:20])
        self.put(
            "runs-its-own-class", Tier.EXECUTES if self.harmful else Tier.POLICY, severity, offset, evidence or show(made),
            "makes an object of a class whose code is in the file; methods of that class may run while it is loaded",
        )  # fmt: skip

    def _made(self, callee: Imported, arguments: Value, how: str, offset: int) -> None:
        """A class of a known library: made without its set-up, or set up with nothing."""
        if how in ("REDUCE", "OBJ", "INST") and arguments != ():
            sentences = isinstance(arguments, tuple) and any(self._is_sentence(value) for value in arguments)
            tier, severity = (Tier.EXECUTES, Severity.HIGH) if sentences else (Tier.POLICY, Severity.MEDIUM)
            self.put(
                "sets-up-a-class", tier, severity, offset, shown_call(callee, arguments, self.machine),
                f"sets up `{callee}` with arguments from the file; nobody has looked at what that does",
            )  # fmt: skip

    def _is_sentence(self, value: Value) -> bool:
        """Whether it is a text that may be a path, an address or code, and no mere word."""
        if not isinstance(value, int) or self.machine is None:
            return isinstance(value, Plain) and value.text is not None
        text = read_literal(self.machine.data, value)
        return isinstance(text, str | bytes) and (isinstance(text, bytes) or _WORD.match(text) is None)

    def _like_a_member(self, callee: Imported, arguments: Value) -> bool:
        """Whether it is a class of a library, given values or one word: enough for an enumeration or a container, for no command and no address."""
        is_class = all(part.lstrip("_")[:1].isupper() for part in callee.name.split("."))
        named = self.knowledge.harmful_names.intersection(callee.path.lower().split("."), callee.path.split("."))
        if (
            not is_class
            or callee.module.partition(".")[0] in sys.stdlib_module_names
            or named
            or not isinstance(arguments, tuple)
        ):
            return False
        if len(arguments) == 1 and isinstance(arguments[0], int) and self.machine:
            word = read_literal(self.machine.data, arguments[0])
            return self._mere_value(arguments[0]) or (isinstance(word, str) and _WORD.match(word) is not None)
        return all(self._mere_value(value) for value in arguments)

    def _mere_value(self, value: Value) -> bool:
        """A number, a dict, or what a known library reconstructs: arrays, tensors."""
        match value:
            case int() if self.machine:
                return not isinstance(read_literal(self.machine.data, value), str | bytes)
            case tuple():
                return all(self._mere_value(inner) for inner in value)
            case Made(by=Imported() as by):
                known = self.knowledge.entry(by.path)
                return (
                    known.standing in (Standing.CALL, Standing.CLASS)
                    and known.library != "Python"
                    and not self.special(by)
                )
            case _:
                return value is DICT or isinstance(value, Items)

    def refused(self, callee: Imported, entry: Entry, arguments: Value, offset: int) -> None:
        """A call that isn't known to be harmless."""
        evidence = shown_call(callee, arguments, self.machine)
        if entry.standing is Standing.REFUSED:
            self.put(
                _slug(entry.why), Tier.EXECUTES, Severity.CRITICAL, offset, evidence,
                f"calls `{callee}`, which {entry.why}, as soon as the file is loaded; don't load it",
            )  # fmt: skip
            return
        self.put(
            "calls-unknown", Tier.EXECUTES, Severity.HIGH, offset, evidence,
            f"calls `{callee}` as soon as the file is loaded; that isn't known to be harmless reconstruction",
        )  # fmt: skip

    def module(self, name: str, offset: int) -> None:
        """A module that is imported by its name, and kept."""
        entry = self.knowledge.entry(name)
        if entry.why == ACTS or name.endswith(".__main__"):
            self.put(
                "imports-what-acts", Tier.EXECUTES, Severity.HIGH, offset, name,
                f"imports `{name}`, which {ACTS}: no function needs that. Don't load it",
            )  # fmt: skip
        elif entry.standing is Standing.REFUSED:
            self.put(
                "names-a-module", Tier.POLICY, Severity.MEDIUM, offset, name,
                f"imports `{name}`, which {entry.why}, for a function that may use it later",
            )  # fmt: skip
        elif entry.standing is Standing.UNKNOWN and name.partition(".")[0] not in sys.stdlib_module_names:
            self.put(
                "imports-unknown", Tier.POLICY, Severity.MEDIUM, offset, name,
                f"imports `{name}`, of which nothing is known here",
            )  # fmt: skip

    def special(self, value: Imported) -> bool:
        """Whether there is a rule for it alone."""
        return self.knowledge.canonical(value.path) in SPECIAL

    def _listed(self, value: Imported) -> bool:
        """Whether somebody has looked at exactly this, so that its points are no way around."""
        return self.special(value) or self.knowledge.listed(value.path)

    def _named(self, value: Imported) -> None:
        if self._own and value.path.startswith(self._own):
            return
        if self.special(value):
            return
        entry = self.knowledge.entry(value.path)
        if entry.standing is Standing.REFUSED:
            severity = _MERELY_NAMED.get(entry.why, Severity.HIGH)
            self.add(f"names-what-{_slug(entry.why)}", severity, value, f"names `{value}`, which {entry.why}")
        elif entry.standing is Standing.UNKNOWN:
            self.put(
                "imports-unknown", Tier.POLICY, Severity.MEDIUM, value.offset, value.path,
                f"imports `{value}`: loading imports `{value.module}`, of which nothing is known here",
            )  # fmt: skip

    # Findings

    def add(self, id: str, severity: Severity, value: Value, message: str, offset: int | None = None) -> None:
        """A finding about a value."""
        place = value.offset if offset is None and isinstance(value, Imported | Made | Persistent) else offset
        self.put(id, Tier.EXECUTES, severity, place or 0, show(value), message)

    def broken(self, what: str, offset: int) -> None:
        """Something at which every reader stops."""
        self.put("no-reader-goes-on", Tier.MALFORMED, Severity.MEDIUM, offset, "", f"{what}: every reader stops there")

    def put(self, id: str, tier: Tier, severity: Severity, offset: int, evidence: str, message: str) -> None:
        """A finding; each once."""
        if (id, evidence) in self._seen:
            return
        if len(self.findings) < MAX_FINDINGS:
            self._seen.add((id, evidence))
            self.findings.append(Finding(f"pickle/{id}", tier, severity, message, offset, evidence[:300]))


def _reaches_through(name: str) -> bool:
    """Whether a dotted name goes through something other than a class."""
    return any(not part.lstrip("_")[:1].isupper() for part in name.split(".")[:-1])


def _slug(effect: str) -> str:
    return effect.replace(" ", "-")

# SPDX-License-Identifier: Apache-2.0
"""Callables of which it depends on their arguments whether calling them is harmless: each has a rule of its own."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bastide.verify.artifacts.model import Severity, Tier
from bastide.verify.artifacts.pickles import iterators
from bastide.verify.artifacts.pickles.iterators import ENDLESS, Rule, costs, made_by
from bastide.verify.artifacts.pickles.knowledge import Standing
from bastide.verify.artifacts.pickles.literals import read_literal, shown_call
from bastide.verify.artifacts.pickles.values import UNKNOWN, Imported, Items, Made, Plain, Value

if TYPE_CHECKING:
    from bastide.verify.artifacts.pickles.judge import Judge
    from bastide.verify.artifacts.pickles.machine import Machine

CODECS = frozenset({"latin-1", "latin1", "iso-8859-1", "iso8859-1", "utf-8", "utf8", "ascii", "us-ascii"})
_TYPES = {
    "PartialType": ("functools", "partial"),
    "SuperType": ("builtins", "super"),
    "ItemGetterType": ("operator", "itemgetter"),
    "AttrGetterType": ("operator", "attrgetter"),
}
"""Names that dill has for types that `types` doesn't have."""
_TYPES_BY = frozenset({"_operator.getitem", "operator.getitem", "builtins.type", "types.GenericAlias"})
_IMPORTS = frozenset({"cloudpickle.cloudpickle.subimport", "dill._dill._import_module"})
_METACLASSES = frozenset({"builtins.type", "abc.ABCMeta", "enum.EnumType", "enum.EnumMeta", "typing.NamedTupleMeta"})
_CODE = "types.CodeType"
SHARED = _IMPORTS | {"logging.getLogger"}
"""Calls that give what the whole program uses, and no object of the file."""
_METHOD = re.compile(r"<(?:method|slot wrapper) '(\w+)' of '(\w+)' objects>\Z")


def _getattr(judge: Judge, callee: Imported, arguments: Value, offset: int) -> Value:
    match arguments:
        case (owner, name, *_) if judge.machine and (text := judge.machine.text(name)):
            match owner:
                case Imported():
                    return _attribute(judge, owner, text, offset)
                case Made(by=Imported() as by, arguments=(module,)) if by.path in _IMPORTS:
                    if known := judge.machine.text(module):
                        return _attribute(judge, Imported(known[0], "", offset), text, offset)
                case int() | tuple() | Plain() | Items() if not text[1] and not text[0].startswith("_"):
                    # A method of data; calling it is judged as calling what another call made.
                    return Made(callee, UNKNOWN, offset)
                case Made(by=Imported() as made) if not text[1] and not text[0].startswith("__"):
                    return _bound(judge, made, callee, arguments, offset)
    judge.put(
        "looks-up-an-attribute", Tier.EXECUTES, Severity.HIGH, offset, shown_call(callee, arguments, judge.machine),
        "takes an attribute of an object by name; what it is can't be told from the file",
    )  # fmt: skip
    return Made(callee, UNKNOWN, offset)


def _attribute(judge: Judge, owner: Imported, text: tuple[str, bool], offset: int) -> Value:
    attribute = Imported(owner.module, f"{owner.name}.{text[0]}".lstrip("."), offset)
    return judge.imported(attribute, "COMPUTED" if text[1] else "STACK_GLOBAL", 4)


def _bound(judge: Judge, made: Imported, callee: Imported, arguments: Value, offset: int) -> Value:
    """A method of an object of the file; it may be kept, and calling it is judged as calling what another call made."""
    entry = judge.knowledge.entry(made.path)
    if not entry.library or entry.standing not in (Standing.CLASS, Standing.VALUE, Standing.FUNCTION):
        judge.put(
            "holds-a-method", Tier.POLICY, Severity.MEDIUM, offset, shown_call(callee, arguments, judge.machine),
            "holds a method of an object; what calls it later, and with what, isn't known",
        )  # fmt: skip
    return Made(callee, UNKNOWN, offset)


def _encode(judge: Judge, callee: Imported, arguments: Value, offset: int) -> Value:
    texts = [judge.machine.text(a) for a in arguments] if isinstance(arguments, tuple) and judge.machine else []
    if len(texts) == 2 and texts[0] and texts[1] and _codec(texts[1][0]) in CODECS:
        return Made(callee, arguments, offset)
    judge.put(
        "transforms-a-text", Tier.EXECUTES, Severity.HIGH, offset, shown_call(callee, arguments, judge.machine),
        "transforms a text while it is loaded, as programs do that hide names",
    )  # fmt: skip
    return Plain("text", texts[0][0] if texts and texts[0] else "?")


def _reconstructor(judge: Judge, callee: Imported, arguments: Value, offset: int) -> Value:
    match arguments:
        case (Imported() as made, Imported() as base, state) if callee.name == "_reconstructor" and not _is_builtin(
            judge, base
        ):
            # It sets the object up with the state, by the class of which it is told that it can.
            judge.called(base, (state,), "REDUCE", offset)
            return judge.called(made, (), "NEWOBJ", offset)
        case (Imported() as made, *_):
            return judge.called(made, (), "NEWOBJ", offset)
    judge.broken("reconstructs something that is no class", offset)
    return Made(callee, UNKNOWN, offset)


def _is_builtin(judge: Judge, base: Imported) -> bool:
    return base.module == "builtins" and judge.knowledge.entry(base.path).standing is Standing.CALL


def _type_by_name(judge: Judge, callee: Imported, arguments: Value, offset: int) -> Value:
    match arguments:
        case (name,) if judge.machine and (text := judge.machine.text(name)):
            module, found = _TYPES.get(text[0], ("types" if text[0].endswith("Type") else "builtins", text[0]))
            return Imported(module, found, offset)
    return Made(callee, UNKNOWN, offset)


def _setattr(judge: Judge, callee: Imported, arguments: Value, offset: int) -> Value:
    match arguments:
        case (Made(by=Imported() as by), *_) if by.path in SHARED:
            judge.refused(callee, judge.knowledge.entry("builtins.setattr"), arguments, offset)
        case (Made(), name, _) if judge.machine and judge.machine.text(name):
            # dill gives the classes that it made their names this way.
            pass
        case _:
            judge.refused(callee, judge.knowledge.entry(callee.path), arguments, offset)
    return Plain("None")


def _code(judge: Judge, callee: Imported, arguments: Value, offset: int) -> Value:
    names = _names_in(arguments, judge.machine)
    if callee.path == _CODE and _CODE in judge.imports:
        judge.put(
            "makes-code", Tier.EXECUTES, Severity.HIGH, offset, ", ".join(names[:40]),
            "makes Python code by a name that no pickler writes: cloudpickle and dill have functions of their own for it",
        )  # fmt: skip
    judge.harmful.update(judge.knowledge.harmful_names.intersection(names))
    judge.put(
        "holds-code", Tier.POLICY, Severity.MEDIUM, offset, ", ".join(names[:40]),
        "holds Python functions as code: loading makes them without running them; what they do when they are called isn't known",
    )  # fmt: skip
    return Made(callee, UNKNOWN, offset)


def _file(judge: Judge, callee: Imported, arguments: Value, offset: int) -> Value:
    match arguments:
        case (int() as literal,) | (Made(by=Imported(name="encode"), arguments=(int() as literal, *_)),):
            judge.files.append(literal)
        case _:
            judge.put(
                "loads-computed-bytes", Tier.EXECUTES, Severity.HIGH, offset, shown_call(callee, arguments, judge.machine),
                "loads a file that is made while the pickle is loaded, so that nothing shows what is in it",
            )  # fmt: skip
    return Made(callee, UNKNOWN, offset)


def _compiled(judge: Judge, callee: Imported, arguments: Value, offset: int) -> Value:
    """How numba makes its functions again: of Python code, which it compiles when they are called."""
    match arguments:
        case (Made(by=Imported(name="_unpickle__CustomPickled")),):
            judge.put(
                "holds-code", Tier.POLICY, Severity.MEDIUM, offset, callee.path,
                "holds functions that numba compiles: what they do when they are called isn't known",
            )  # fmt: skip
        case _:
            judge.refused(callee, judge.knowledge.entry(callee.path), arguments, offset)
    return Made(callee, UNKNOWN, offset)


def _from_type(judge: Judge, callee: Imported, arguments: Value, offset: int) -> Value:
    match arguments:
        case (Imported() | Made() as function, *rest) if rest:
            # PyTorch's has the class in between.
            inner = rest[0] if isinstance(rest[0], tuple) else rest[1] if len(rest) > 1 else UNKNOWN
            judge.called(function, inner, "REDUCE", offset)
        case _:
            judge.broken("rebuilds a tensor by something that is no function", offset)
    return Made(callee, UNKNOWN, offset)


def _import_by_name(judge: Judge, callee: Imported, arguments: Value, offset: int) -> Value:
    """How cloudpickle and dill write a module that a function uses: importing it is all that happens."""
    match arguments:
        case (name, *_) if judge.machine and (text := judge.machine.text(name)):
            if "." in text[0] and callee.name == "_import_module":
                # dill takes what stands behind the last point as an attribute, of whatever kind.
                module, _, attribute = text[0].rpartition(".")
                return judge.imported(Imported(module, attribute, offset), "COMPUTED" if text[1] else "STACK_GLOBAL", 4)
            if not text[1]:
                judge.module(text[0], offset)
                return Made(callee, (name,), offset)
    judge.refused(callee, judge.knowledge.entry("builtins.__import__"), arguments, offset)
    return Made(callee, UNKNOWN, offset)


def _method_by_name(judge: Judge, callee: Imported, arguments: Value, offset: int) -> Value:
    """dill's way to write a method of a built-in class. It evaluates the third text, so that has to be one that dill writes."""
    match arguments:
        case (Imported(module="builtins") as owner, name, description) if judge.machine:
            text, told = judge.machine.text(name), judge.machine.text(description)
            found = _METHOD.match(told[0]) if text and told and not text[1] and not told[1] else None
            if text and found and found.groups() == (text[0], owner.name):
                return _attribute(judge, owner, text, offset)
    judge.refused(callee, judge.knowledge.entry("builtins.eval"), arguments, offset)
    return Made(callee, UNKNOWN, offset)


def _bytes(judge: Judge, callee: Imported, arguments: Value, offset: int) -> Value:
    if arguments != ():
        # Python writes nothing else by a call: there are opcodes for bytes, and `_codecs.encode` before them.
        judge.refused(callee, judge.knowledge.entry(callee.path), arguments, offset)
    return Made(callee, UNKNOWN, offset)


def _fill(judge: Judge, callee: Imported, arguments: Value, offset: int) -> Value:
    """Containers. Honest ones are given what stands in the file, and no number from which they would make as many things."""
    match arguments:
        case (items, *_) if made_by(items, judge, ENDLESS):
            costs(judge, callee, arguments, offset)
        case (int() as literal,) if callee.name == "bytearray" and judge.machine:
            if isinstance(read_literal(judge.machine.data, literal), int):
                costs(judge, callee, arguments, offset)
    return Made(callee, UNKNOWN, offset)


def _type(judge: Judge, callee: Imported, arguments: Value, offset: int) -> Value:
    """`type(None)` and the like, which have no other name."""
    match arguments:
        case (int() | Plain(),):
            pass
        case (Imported(module="builtins", name=name),) if name in ("Ellipsis", "NotImplemented"):
            pass
        case _:
            judge.refused(callee, judge.knowledge.entry(callee.path), arguments, offset)
    return Made(callee, UNKNOWN, offset)


def _item(judge: Judge, callee: Imported, arguments: Value, offset: int) -> Value:
    """A type with its parameters: `Optional[int]`. `typing` reads texts among them, and runs none."""
    match arguments:
        case (Imported(module="typing" | "collections.abc") as generic, _) if judge.knowledge.listed(generic.path):
            pass
        case _:
            judge.refused(callee, judge.knowledge.entry(callee.path), arguments, offset)
    return Made(callee, UNKNOWN, offset)


def _union(judge: Judge, callee: Imported, arguments: Value, offset: int) -> Value:
    """`int | None`, which Python writes as a fold of types."""
    match arguments:
        case (Imported(module="_operator" | "operator", name="or_"), tuple() as types) if all(
            _is_type(judge, t) for t in types
        ):
            pass
        case _:
            judge.refused(callee, judge.knowledge.entry(callee.path), arguments, offset)
    return Made(callee, UNKNOWN, offset)


def _is_type(judge: Judge, value: Value) -> bool:
    return isinstance(value, Imported) or made_by(value, judge, _TYPES_BY)


def _class(judge: Judge, callee: Imported, arguments: Value, offset: int) -> Value:
    """A class from the file: its metaclass is called."""
    match arguments:
        case (Made() as meta, *_):
            judge.own_class(meta, offset)
        case (Imported() as meta, *rest) if meta.path not in _METACLASSES and not meta.name.endswith(
            ("Meta", "Metaclass")
        ):
            judge.called(meta, tuple(rest), "REDUCE", offset)
    return Made(callee, UNKNOWN, offset)


def _enumeration(judge: Judge, callee: Imported, arguments: Value, offset: int) -> Value:
    """An enumeration from the file: its members are set up by the classes that it is made of."""
    match arguments:
        case (tuple() as bases, *_):
            for base in bases:
                if isinstance(base, Imported) and base.module != "enum" and not _is_builtin(judge, base):
                    judge.called(base, UNKNOWN, "REDUCE", offset)
    return Made(callee, UNKNOWN, offset)


def _named_tuple(judge: Judge, callee: Imported, arguments: Value, offset: int) -> Value:
    """dill imports the module in which the class may be."""
    match arguments:
        case (_, _, module, *_) if judge.machine and (text := judge.machine.text(module)):
            judge.module(text[0], offset)
    return Made(callee, UNKNOWN, offset)


def _given_state(judge: Judge, callee: Imported, arguments: Value, offset: int) -> Value:
    """cloudpickle's way to set attributes of what it made; of something imported it would set them for the whole program."""
    match arguments:
        case (target, state, *_):
            judge.changed(target, state, "STATE", offset)
    return Made(callee, UNKNOWN, offset)


def _look_up(judge: Judge, callee: Imported, arguments: Value, offset: int) -> Value:
    """Imports a module by a text, and takes a part of it."""
    match arguments:
        case (module, name) if (
            judge.machine and (where := judge.machine.text(module)) and (what := judge.machine.text(name))
        ):
            return judge.imported(
                Imported(where[0], what[0], offset), "COMPUTED" if where[1] or what[1] else "STACK_GLOBAL", 4
            )
    judge.refused(callee, judge.knowledge.entry("builtins.__import__"), arguments, offset)
    return Made(callee, UNKNOWN, offset)


def _generator(judge: Judge, callee: Imported, arguments: Value, offset: int) -> Value:
    """NumPy's random generators: calls the second argument with the first, or the first, unless it is a name."""
    match arguments:
        case (first, Imported(name=("__bit_generator_ctor" | "_bit_generator_ctor"))) | (first,):
            if isinstance(first, Imported) and not first.module.startswith("numpy.random"):
                judge.called(first, (), "REDUCE", offset)
        case (first, maker, *_):
            judge.called(maker, (first,), "REDUCE", offset)
    return Made(callee, UNKNOWN, offset)


def _function(judge: Judge, callee: Imported, arguments: Value, offset: int) -> Value:
    match arguments:
        case (int() | tuple(), *_) | ():
            judge.broken("makes a function of something that is no code", offset)
    return Made(callee, UNKNOWN, offset)


SPECIAL: dict[str, Rule] = {
    **iterators.RULES,
    "builtins.bytearray": _fill,
    "builtins.dict": _fill,
    "builtins.frozenset": _fill,
    "builtins.list": _fill,
    "builtins.set": _fill,
    "builtins.tuple": _fill,
    "collections.Counter": _fill,
    "collections.OrderedDict": _fill,
    "collections.deque": _fill,
    "builtins.bytes": _bytes,
    "builtins.getattr": _getattr,
    "builtins.type": _type,
    "builtins.setattr": _setattr,
    "_codecs.encode": _encode,
    "_functools.reduce": _union,
    "_operator.getitem": _item,
    "functools.reduce": _union,
    "operator.getitem": _item,
    "copyreg._reconstructor": _reconstructor,
    "copyreg.__newobj__": _reconstructor,
    "copyreg.__newobj_ex__": _reconstructor,
    "numpy._core._ufunc_reconstruct": _look_up,
    "numpy.random.__RandomState_ctor": _generator,
    "numpy.random._pickle.__bit_generator_ctor": _generator,
    "numpy.random._pickle.__generator_ctor": _generator,
    "numpy.random._pickle.__randomstate_ctor": _generator,
    "numba.core.serialize._unpickle__CustomPickled": _file,
    "numba.core.serialize.custom_rebuild": _compiled,
    "torch._tensor._rebuild_from_type": _from_type,
    "torch._tensor._rebuild_from_type_v2": _from_type,
    "torch.storage._load_from_bytes": _file,
    "types.CodeType": _code,
    "cloudpickle.cloudpickle._builtin_type": _type_by_name,
    "cloudpickle.cloudpickle._make_function": _function,
    "cloudpickle.cloudpickle._class_setstate": _given_state,
    "cloudpickle.cloudpickle._make_skeleton_enum": _enumeration,
    "cloudpickle.cloudpickle._function_setstate": _given_state,
    "cloudpickle.cloudpickle._make_skeleton_class": _class,
    "cloudpickle.cloudpickle.subimport": _import_by_name,
    "dill._dill._create_array": _from_type,
    "dill._dill._create_code": _code,
    "dill._dill._create_function": _function,
    "dill._dill._create_namedtuple": _named_tuple,
    "dill._dill._create_type": _class,
    "dill._dill._getattr": _method_by_name,
    "dill._dill._import_module": _import_by_name,
    "dill._dill._load_type": _type_by_name,
    "dill._dill._setattr": _setattr,
}
"""By the present name of the callable."""


def _codec(name: str) -> str:
    """As Python compares names of encodings; it isn't asked, because it would import a module by that name."""
    return name.lower().replace("_", "-")


def _names_in(arguments: Value, machine: Machine | None) -> list[str]:
    """Names that a code object uses: the tuples of texts among its arguments."""
    if not isinstance(arguments, tuple) or machine is None:
        return []
    inner = [v for a in arguments if isinstance(a, tuple) for v in a]
    return [text[0] for v in inner[:10_000] if (text := machine.text(v))]

# SPDX-License-Identifier: Apache-2.0
"""Expressions as values: constants, what is built from them, environment variables, and references to calls and definitions."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Mapping

from bastide.discover.importers.python.module import Module, chain, owner_of, parameters
from bastide.discover.importers.python.names import Names
from bastide.discover.model import REST, Place, State, Value

_DEPTH = 24
_ITEMS = 200
_SITES = 6
"""Calls of a function that are looked at for what it is given."""
_WORK = 4_000
"""Expressions that are evaluated for one call; what is beyond is unknown."""
_ENVIRONMENT = ("os.environ.get", "os.getenv", "os.environ", "decouple.config", "environ.Env", "config")


Sites = Callable[[str], Iterable[tuple[Names, str, ast.expr]]]


class Evaluator:
    """Evaluates the arguments of calls in one module."""

    def __init__(self, names: Names, sites: Sites | None = None, work: list[int] | None = None) -> None:
        """`sites`: the calls of a function of the tree, by its qualified name. `work`: what is left of it, shared with other modules."""
        self.names = names
        self._module: Module = names.module
        self._sites = sites or (lambda _: ())
        self._work = work if work is not None else [_WORK]

    def _of(self, names: Names) -> Evaluator:
        return self if names.module is self._module else Evaluator(names, self._sites, self._work)

    def arguments(self, call: ast.Call, scope: str) -> dict[str, Value]:
        """Positional arguments under `0`, `1`, ..., keyword arguments by name, `**` as far as it is known."""
        self._work[0] = _WORK
        found: dict[str, Value] = {}
        for number, argument in enumerate(call.args[:_ITEMS]):
            if isinstance(argument, ast.Starred):
                found[REST] = self._unknown(argument)
                break
            found[str(number)] = self.value(argument, scope)
        for keyword in call.keywords[:_ITEMS]:
            if keyword.arg is not None:
                found[keyword.arg] = self.value(keyword.value, scope)
            elif isinstance(keyword.value, ast.Dict):
                found |= self._mapping(keyword.value, scope, 0)
            else:
                # What is known of a mapping; more may have been put into it.
                given = self.value(keyword.value, scope).data
                found |= {k: v for k, v in given.items() if k not in found} if isinstance(given, Mapping) else {}
                found[REST] = self._unknown(keyword.value)
        return found

    def value(self, node: ast.expr, scope: str, depth: int = 0) -> Value:
        """An expression as a value, with its place."""
        if isinstance(node, ast.Constant):
            return self._constant(node)
        key, known = (id(node), scope), self._module.known
        if key in known:
            return known[key] or self._unknown(node)  # it is made from itself
        self._work[0] -= 1
        if depth > _DEPTH or self._work[0] < 0:
            return self._unknown(node)
        known[key] = None
        value = self._value(node, scope, depth)
        if self._work[0] < 0:
            del known[key]
        else:
            known[key] = value
        return value

    def _constant(self, node: ast.Constant) -> Value:
        known = isinstance(node.value, (str, bool, int, float, type(None)))
        return Value(node.value, Place(self._module.file, node.lineno)) if known else self._unknown(node)

    def _value(self, node: ast.expr, scope: str, depth: int) -> Value:
        place = Place(self._module.file, node.lineno)
        if isinstance(node, (ast.List, ast.Tuple, ast.Set)):
            return Value(tuple(self._elements(node.elts, scope, depth)), place)
        if isinstance(node, ast.Dict):
            return Value(self._mapping(node, scope, depth), place)
        if isinstance(node, (ast.Await, ast.Lambda, ast.NamedExpr)):
            return self.value(node.body if isinstance(node, ast.Lambda) else node.value, scope, depth + 1)
        return self._composed(node, scope, depth) or self._reference(node, scope, depth)

    def _composed(self, node: ast.expr, scope: str, depth: int) -> Value | None:
        if isinstance(node, (ast.JoinedStr, ast.BinOp)):
            piped = isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr)
            return self._piped(node, scope, depth) if piped else self._added(node, scope, depth)
        if isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp)):
            values = [self.value(n, scope, depth + 1) for n in (node.elt, *(g.iter for g in node.generators))]
            return _all_of(values, Place(self._module.file, node.lineno), _source(node))
        if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
            return self._either(node.values, scope, depth)
        return self._either([node.body, node.orelse], scope, depth) if isinstance(node, ast.IfExp) else None

    def _elements(self, nodes: Iterable[ast.expr], scope: str, depth: int) -> Iterable[Value]:
        for node in list(nodes)[:_ITEMS]:
            inner = node.value if isinstance(node, ast.Starred) else node
            yield self.value(inner, scope, depth + 1)

    def _mapping(self, node: ast.Dict, scope: str, depth: int) -> dict[str, Value]:
        found = {}
        for key, value in list(zip(node.keys, node.values, strict=True))[:_ITEMS]:
            if key is None:
                found[REST] = self._unknown(value)
                continue
            name = self.value(key, scope, depth + 1).data
            found[str(name) if name is not None else REST] = self.value(value, scope, depth + 1)
        return found

    def _added(self, node: ast.JoinedStr | ast.BinOp, scope: str, depth: int) -> Value:
        """Texts, or lists: `tools + [search]`."""
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
            values = [self.value(side, scope, depth + 1) for side in (node.left, node.right)]
            if any(isinstance(v.data, tuple) for v in values):
                return Value(tuple(values), values[0].place)
        return self._text(node, scope, depth)

    def _text(self, node: ast.JoinedStr | ast.BinOp, scope: str, depth: int) -> Value:
        if isinstance(node, ast.BinOp):
            pieces = [node.left, node.right] if isinstance(node.op, ast.Add) else []
        else:
            pieces = [v.value if isinstance(v, ast.FormattedValue) else v for v in node.values]
        values = [self.value(p, scope, depth + 1) for p in pieces]
        refs = tuple(r for v in values for r in v.refs)
        place = Place(self._module.file, node.lineno)
        if values and all(isinstance(v.data, (str, int, float)) and v.known for v in values):
            worst = State.CONDITIONAL if any(v.state is State.CONDITIONAL for v in values) else State.KNOWN
            return Value("".join(str(v.data) for v in values)[:4000], place, worst, refs)
        return Value(None, place, State.UNKNOWN, refs, _source(node))

    def _piped(self, node: ast.expr, scope: str, depth: int) -> Value:
        """`prompt | model | parser`: it is about all of them."""
        parts: list[ast.expr] = []
        while isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr) and len(parts) < _ITEMS:
            parts.append(node.right)
            node = node.left
        values = [self.value(part, scope, depth + 1) for part in [node, *reversed(parts)]]
        return _all_of(values, values[0].place, "")

    def _either(self, nodes: list[ast.expr], scope: str, depth: int) -> Value:
        """`a or b`, `a if c else b`: the first that is known, depending on something."""
        values = [self.value(n, scope, depth + 1) for n in nodes]
        refs = tuple(dict.fromkeys(r for v in values for r in v.refs))
        known = next((v for v in values if v.known and v.data is not None), None)
        if known is None:
            return Value(None, values[0].place, State.UNKNOWN, refs, values[0].text)
        return Value(known.data, known.place, State.CONDITIONAL, refs)

    def _reference(self, node: ast.expr, scope: str, depth: int) -> Value:
        place = Place(self._module.file, node.lineno)
        if isinstance(node, ast.Call) and id(node) in self._module.ids:
            return Value(None, place, State.UNKNOWN, (self._module.ids[id(node)],), _source(node))
        if (variable := self._environment(node, scope, depth)) is not None:
            return variable
        if isinstance(node, ast.Name) and (value := self._named(node, scope, depth)) is not None:
            return value
        if isinstance(node, ast.Attribute) and (value := self._attribute(node, scope, depth)) is not None:
            return value
        if isinstance(node, ast.Subscript) and (value := self._item(node, scope, depth)) is not None:
            return value
        qualified = self.names.qualified(node.func if isinstance(node, ast.Call) else node, scope)
        if isinstance(node, ast.Call) and (value := self._call(node, qualified, scope, depth)) is not None:
            return value
        if (value := self._global(qualified, place, depth)) is not None:
            return value
        reference = self.names.definition(qualified) if qualified else ""
        return Value(None, place, State.UNKNOWN, (reference,) if reference else (), self._shown(node, qualified))

    def _shown(self, node: ast.expr, qualified: str) -> str:
        """What stands there, for people: a library's name qualified, of what is made at run time the last name."""
        root = chain(node)[0]
        imported = isinstance(root, ast.Name) and root.id in self._module.names
        if not imported and isinstance(node, (ast.Attribute, ast.Name)):
            return node.attr if isinstance(node, ast.Attribute) else node.id
        return qualified or _source(node)

    def _global(self, qualified: str, place: Place, depth: int) -> Value | None:
        """An attribute of a library's object that code of the tree sets: `Settings.llm`."""
        found = list(self._sites(set_name(qualified)))[:_SITES] if "." in qualified else []
        return _one_of([self._of(n).value(v, s, depth + 1) for n, s, v in found], place) if found else None

    # --- what names stand for ---------------------------------------------------------------------------------------
    def _named(self, node: ast.Name, scope: str, depth: int) -> Value | None:
        place = Place(self._module.file, node.lineno)
        assigned = [v for v in self.names.assigned(node.id, scope) if v[0] is not node]
        grown = self.names.grown(node.id, scope)
        if assigned or grown:
            if len(assigned) > 1 and (latest := self.names.before(node.id, scope, node.lineno)) is not None:
                branches = [v for v in assigned if v[0].lineno < node.lineno]
                assigned = [latest, *(v for v in branches if v is not latest)]
            values = [self.value(*v, depth + 1) for v in assigned]
            more = [self.value(*v, depth + 1) for v in grown]
            value = _one_of(values, place)
            if more:
                return Value((*value.elements(), *more), place, State.CONDITIONAL, value.refs)
            return Value(value.data, place if value.refs else value.place, value.state, value.refs, value.text)
        if other := self.names.elsewhere(node.id):
            return _one_of([self._of(n).value(v, s, depth + 1) for n, v, s in other], place)
        return self._given(node.id, scope, depth, place)

    def _given(self, name: str, scope: str, depth: int, place: Place) -> Value | None:
        """A parameter is what the calls of its function give it."""
        if (found := self.names.parameter(name, scope)) is None:
            return None
        around, parameter = found
        function = self._module.definitions[around]
        if not isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef)):
            return None
        own = bool(owner_of(around.rpartition(".")[0], self._module.definitions)) and not function.decorator_list
        position = parameters(function).index(parameter) - own
        values = []
        for names, where, call in list(self._sites(f"{self._module.name}.{around}"))[:_SITES]:
            if not isinstance(call, ast.Call):
                continue
            argument = next((k.value for k in call.keywords if k.arg == name), None)
            if argument is None and 0 <= position < len(call.args):
                argument = call.args[position]
            if argument is not None and not (
                isinstance(argument, ast.Name) and argument.id == name and where == around
            ):
                values.append(self._of(names).value(argument, where, depth + 1))
        if not values and (default := _default(function, parameter)) is not None:
            values = [self._injected(default, around, depth)]
        return _one_of(values, place, State.CONDITIONAL) if values else None

    def _injected(self, default: ast.expr, scope: str, depth: int) -> Value:
        """`Depends(get_agent)`: what that returns."""
        if (
            isinstance(default, ast.Call)
            and default.args
            and self.names.qualified(default.func, scope).endswith(".Depends")
        ):
            found = self._returned(self.names.qualified(default.args[0], scope), depth)
            return found or self._unknown(default)
        return self.value(default, scope, depth + 1)

    def _attribute(self, node: ast.Attribute, scope: str, depth: int) -> Value | None:
        place = Place(self._module.file, node.lineno)
        if bound := self.names.attribute(node, scope):
            value = _one_of([self._of(n).value(v, s, depth + 1) for n, v, s in bound], place)
            own = isinstance(node.value, ast.Name) and node.value.id in ("self", "cls")
            # An attribute of another object may have been set to something else since.
            state = State.CONDITIONAL if not own and value.state is State.KNOWN else value.state
            return Value(value.data, place if value.refs else value.place, state, value.refs, value.text)
        if (of := self.value(node.value, scope, depth + 1)).refs:
            # `role.arn`: an attribute of something that is known is about it.
            return Value(None, place, State.UNKNOWN, of.refs, _source(node))
        return None

    def _item(self, node: ast.Subscript, scope: str, depth: int) -> Value | None:
        """`MODELS["fast"]`, `tools[0]`."""
        of, key = self.value(node.value, scope, depth + 1), self.value(node.slice, scope, depth + 1)
        if isinstance(of.data, dict):
            found: Value | None = of.data.get(str(key.data)) if key.known else None
            if found is not None:
                return found
            return _all_of(list(of.data.values()), Place(self._module.file, node.lineno), _source(node))
        return _all_of(list(of.elements()), of.place, _source(node)) if isinstance(of.data, tuple) else None

    def _call(self, node: ast.Call, qualified: str, scope: str, depth: int) -> Value | None:
        """What a function of the tree returns; of some functions that pass on what they are given, that."""
        if (value := self._returned(qualified, depth)) is not None:
            return value
        if qualified.rpartition(".")[2] == "Field":
            default = next((k.value for k in node.keywords if k.arg == "default"), next(iter(node.args), None))
            return self.value(default, scope, depth + 1) if default is not None else None
        passing = isinstance(node.func, ast.Name) and node.func.id in (
            "list",
            "tuple",
            "set",
            "sorted",
            "str",
            "iter",
            "next",
        )
        return self.value(node.args[0], scope, depth + 1) if passing and len(node.args) == 1 else None

    def _returned(self, qualified: str, depth: int) -> Value | None:
        found = self.names.function(qualified) if qualified else None
        if found is None or (
            id(found[1]) in found[0].module.ids and ".".join((found[2],)) not in found[0].module.functions
        ):
            return None
        names, _, scope = found
        values = [self._of(names).value(v, scope, depth + 1) for v in names.module.returned.get(scope, ())]
        return _one_of(values, values[0].place) if values else None

    def _environment(self, node: ast.expr, scope: str, depth: int) -> Value | None:
        """`os.environ["X"]`, `os.getenv("X", "default")` and what is like them."""
        if isinstance(node, ast.Call):
            called, arguments = self.names.qualified(node.func, scope), node.args
            if called not in _ENVIRONMENT or not arguments:
                return None
        elif isinstance(node, ast.Subscript) and self.names.qualified(node.value, scope) == "os.environ":
            arguments = [node.slice]
        else:
            return None
        name = self.value(arguments[0], scope, depth + 1).data
        refs = (f"env:{name}",) if isinstance(name, str) else ()
        place = Place(self._module.file, node.lineno)
        if len(arguments) > 1:
            default = self.value(arguments[1], scope, depth + 1)
            if default.known and default.data is not None:
                return Value(default.data, place, State.CONDITIONAL, refs)
        return Value(None, place, State.UNKNOWN, refs)

    def _unknown(self, node: ast.AST) -> Value:
        line = getattr(node, "lineno", 0)
        return Value(None, Place(self._module.file, line), State.UNKNOWN)


def set_name(qualified: str) -> str:
    """Under which name an attribute that code sets is kept: libraries export their objects from several modules."""
    package, _, rest = qualified.partition(".")
    return f"{package}={'.'.join(rest.split('.')[-2:])}"


def _default(function: ast.FunctionDef | ast.AsyncFunctionDef, parameter: ast.arg) -> ast.expr | None:
    positional = [*function.args.posonlyargs, *function.args.args]
    if parameter in positional:
        place = positional.index(parameter) - len(positional) + len(function.args.defaults)
        return function.args.defaults[place] if place >= 0 else None
    return function.args.kw_defaults[function.args.kwonlyargs.index(parameter)]


def _one_of(values: list[Value], place: Place, least: State = State.KNOWN) -> Value:
    """One of several: the first that is known, depending on something, and the references of all."""
    if len(values) == 1 and (least is State.KNOWN or not values[0].known):
        return values[0]
    refs = tuple(dict.fromkeys(r for v in values for r in _refs(v)))
    known = next((v for v in values if v.known and v.data is not None), None)
    if known is None or (refs and not known.refs and not isinstance(known.data, (tuple, dict))):
        text = next((v.text for v in values if v.text), "")
        return Value(None, place, State.UNKNOWN, refs, text)
    data = known.data
    if isinstance(data, tuple):
        data = tuple(v for v in values if v.data is not None or v.refs)
    return Value(data, known.place, State.CONDITIONAL, refs if not isinstance(data, (tuple, dict)) else known.refs)


def _all_of(values: list[Value], place: Place, text: str) -> Value:
    """Something made from several: what they refer to."""
    refs = dict.fromkeys(r for v in values for r in _refs(v))
    return Value(None, place, State.UNKNOWN, tuple(refs), text)


def _refs(value: Value) -> list[str]:
    return [*value.refs, *(r for _, leaf in value.leaves() for r in leaf.refs)]


def _source(node: ast.expr) -> str:
    try:
        return ast.unparse(node)[:200]
    except (RecursionError, ValueError):
        return ""

# SPDX-License-Identifier: Apache-2.0
"""Finds out what is the same thing and what talks to what. Pure.

Things are the same when their languages say so (a reference as a part), when they differ only in a variant, or when they have the same
global name (an ARN, a model). Flows come from references, addresses and names; an address leads to whoever has that host name in the same scope.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from bastide.discover.components import component
from bastide.discover.flows import by_those_who_run, merged, who_run
from bastide.discover.hosts import Hosts
from bastide.discover.identify import identified
from bastide.discover.interpret import Fact, Interpreter, Piece, Pointer, as_text, decide, normal
from bastide.discover.model import REST, Place, Resource, State, Value
from bastide.discover.programs import named
from bastide.discover.result import Found, FoundFlow
from bastide.discover.types import LinkRule, Make, Type, fits
from bastide.discover.waits import is_used

_ADDRESS_NAME = re.compile(
    r"HOST|URL|URI|ENDPOINT|ADDR|SERVER|BROKER|DSN|CONNECTION|SERVICE|BASE|PEERS?\b|NODES?\b", re.IGNORECASE
)
_DEPLOYED = ("container", "helm/dependency")
_GLOBAL = ("arn", "model", "url", "id", "image-digest", "server")
"""Prefixes of names that mean the same thing wherever they stand."""
_SHARED = ("provider", "outside")
"""Prefixes of names that mean whatever answers to them; several things may have one."""
_UNCALLED = ("identity", "network", "ops.")
"""Kinds that a variable may name without anything being sent to them."""
_CHOSEN = ("ai.model.endpoint", "ai.embedder")
"""Kinds of which code has one for each provider, and uses one."""
_MEANT = 200
"""References that are followed to find what one of them stands for."""


@dataclass(slots=True, eq=False)
class Group:
    """Pieces that are one thing; or a thing that is only named."""

    pieces: list[Piece]
    made: list[tuple[Piece, Pointer]]
    facts: dict[str, Fact]
    doing: dict[Place, None] = field(default_factory=dict)
    """Where code of it does something with others."""

    @property
    def kind(self) -> str:
        """The kind that the first piece with one gives."""
        strong = [p.type for p in self.pieces if p.type]
        best = next((t for t in strong if not t.weak), None) or next(iter(strong), None)
        return best.kind if best else next((m.rule.kind for _, m in self.made if m.rule.kind), "")


def resolve(resources: Iterable[Resource], types: Iterable[Type]) -> tuple[list[Found], list[FoundFlow]]:
    """The components and flows of the resources."""
    return _Resolver(list(resources), Interpreter(types)).result()


class _Resolver:
    def __init__(self, resources: list[Resource], interpreter: Interpreter) -> None:
        self._interpreter = interpreter
        pieces = [named(interpreter.piece(r)) for r in resources]
        self._groups: dict[str, Group] = {p.resource.id: Group([p], [], {}) for p in pieces}
        self._pieces = pieces
        self._named: dict[str, Group] = {}
        self._flows: list[tuple[Group, Group, LinkRule, Place]] = []
        self._hosts = Hosts(self._named)
        self._open: list[tuple[Piece, Pointer]] = []
        """What is made only where nothing of its kind was found."""

    def result(self) -> tuple[list[Found], list[FoundFlow]]:
        self._join_variants()
        self._join_parts()
        self._join_names()
        for act in (self._become, self._made_by, self._give, self._linked, self._addresses, self._needed):
            for piece in self._pieces:
                act(piece)
        self._flows = list(by_those_who_run(self._flows))
        self._otherwise()
        found = identified(self._distinct(), component)
        return list(found.values()), list(merged(self._flows, found))

    def _distinct(self) -> list[Group]:
        groups = {id(g): g for g in (*self._groups.values(), *self._named.values())}
        touched = {id(g) for source, target, _, _ in self._flows for g in (source, target)}
        return [g for g in groups.values() if g.kind and (id(g) in touched or not self._is_code(g))]

    @staticmethod
    def _is_code(group: Group) -> bool:
        """Whether it is only code, or what every system has: a component when it does something with others."""
        return bool(group.pieces) and all(
            p.resource.type == "program" or p.type is None or p.type.linked_only for p in group.pieces
        )

    # --- what is one thing ---------------------------------------------------------------------------------------
    def _join_variants(self) -> None:
        same: dict[tuple[str, str, str], list[Piece]] = defaultdict(list)
        for piece in self._pieces:
            same[piece.resource.scope, piece.resource.type, piece.resource.name].append(piece)
        self._join_ways()
        for alike in same.values():
            if len(alike) > 1 and any(p.resource.variant for p in alike):
                for other in alike[1:]:
                    self._unite(alike[0].resource.id, other.resource.id)

    def _join_ways(self) -> None:
        """Models of which no name is known, made under one name of one function, are one that depends on a setting."""
        ways: dict[str, str] = {}
        for piece in self._pieces:
            kind = piece.type.kind if piece.type is not None else ""
            if kind in _CHOSEN and not any(n.startswith("model:") for n in piece.names):
                first = ways.setdefault(f"{kind} {piece.resource.id.partition('#')[0]}", piece.resource.id)
                self._unite(first, piece.resource.id)

    def _join_parts(self) -> None:
        for piece in self._pieces:
            for value in piece.part_of:
                self._join(self._meant(value.refs), piece)
            for value in piece.absorbs:
                self._join(value.refs, piece)
        for piece in self._pieces:
            for value in piece.does:
                self._join((r for r in value.refs if r in self._groups and self._is_function(self._groups[r])), piece)

        for piece in self._pieces:
            if piece.type is not None and piece.type.tells_of and (program := self._program(piece.resource)):
                self._unite(program, piece.resource.id)

    def _program(self, resource: Resource) -> str:
        """The id of the program in which something stands, or of the container that runs it; '' when there is none."""
        for _ in range(12):
            if resource.part_of not in self._groups or resource.type == "container":
                break
            resource = self._resource(resource.part_of, self._groups[resource.part_of])
        return resource.id if resource.type in ("program", "container") else ""

    @staticmethod
    def _is_function(group: Group) -> bool:
        return not group.kind and all(p.resource.type.endswith("/function") for p in group.pieces)

    def _join(self, refs: Iterable[str], piece: Piece) -> None:
        for ref in refs:
            if ref in self._groups:
                self._unite(ref, piece.resource.id)

    def _join_names(self) -> None:
        for piece in self._pieces:
            group = self._groups[piece.resource.id]
            for name in sorted(piece.names):
                other = self._named.get(name)
                if other is None:
                    self._named[name] = group
                elif name.partition(":")[0] in _GLOBAL and other is not group and other.kind == group.kind:
                    self._unite(other.pieces[0].resource.id, piece.resource.id)
                    group = self._groups[piece.resource.id]

    def _unite(self, one: str, other: str) -> None:
        first, second = self._groups[one], self._groups[other]
        if first is second:
            return
        first.pieces += second.pieces
        for piece in second.pieces:
            self._groups[piece.resource.id] = first
        for name, group in self._named.items():
            if group is second:
                self._named[name] = first

    # --- what is named -------------------------------------------------------------------------------------------
    def _make(self, piece: Piece, pointer: Pointer, home: Group) -> None:
        rule = pointer.rule
        if not pointer.name or (rule.prefix == "outside" and self._hosts.declared(pointer.name)):
            return
        key = f"{rule.prefix or rule.kind}:{normal(rule.prefix, pointer.name)}"
        if rule.prefix not in (*_GLOBAL, *_SHARED):
            key += f"@{piece.resource.scope or piece.resource.place.file}"
        group = self._named.get(key)
        if group is None or (group.kind != rule.kind and group is not home):
            group = self._named[key] = Group([], [], {})
        if group is not home:
            if not group.made and not group.pieces:
                # What is only named may be known by its name: a tool called Bash is a shell.
                named = Resource(
                    key, f"named/{rule.kind}", pointer.name, Value({}, pointer.value.place), pointer.value.place
                )
                group.facts |= self._interpreter.piece(named).facts
            group.made.append((piece, pointer))
            for name, cases in rule.facts.items() if isinstance(rule, Make) else ():
                if name not in group.facts and (fact := decide(cases, piece.resource)) is not None:
                    group.facts[name] = fact
            self._flow(home, group, rule, piece, pointer.value.place)

    def _give(self, piece: Piece) -> None:
        for value, facts in piece.gifts:
            for ref in value.refs:
                group = self._groups.get(ref)
                for name, fact in facts.items() if group else ():
                    if group is None:
                        continue
                    old = group.facts.get(name)
                    if old is None or old.state is not State.KNOWN or fact.value in _MORE.get(name, ()):
                        group.facts[name] = fact

    def _become(self, piece: Piece) -> None:
        """A function that is named where tools stand is a tool, and does what its code does."""
        for pointer in piece.links:
            for ref in self._meant(pointer.value.refs) if pointer.rule.function else ():
                group = self._groups[ref]
                if self._is_function(group):
                    kind = f"function/{pointer.rule.function}"
                    group.pieces[:] = [self._interpreter.piece(replace(p.resource, type=kind)) for p in group.pieces]

    def _meant(self, refs: Iterable[str]) -> list[str]:
        """The resources that references mean; for what only stands for others, those."""
        found: dict[str, None] = {}
        todo, seen = [*refs], set[str]()
        while todo and len(seen) < _MEANT:
            ref = todo.pop(0)
            if ref in seen or ref not in self._groups:
                continue
            seen.add(ref)
            group = self._groups[ref]
            instead = [r for p in group.pieces for v in p.stands_for for r in _refs(v)] if not group.kind else []
            todo += instead
            if not instead:
                found[ref] = None
        return list(found)

    def _made_by(self, piece: Piece) -> None:
        for pointer in piece.makes:
            if isinstance(pointer.rule, Make) and pointer.rule.otherwise:
                self._open += [(piece, pointer)] if pointer.value.known else []
            else:
                self._make(piece, pointer, self._home(piece))

    def _otherwise(self) -> None:
        """Who may use a service but shows no part of it that he uses, uses the only part that is named at all, or some part of it."""
        runs = who_run(self._flows)
        met: dict[tuple[int, bool], set[str]] = defaultdict(set)
        for source, target, _, _ in self._flows:
            met[id(source), False].add(target.kind)
            met[id(target), True].add(source.kind)
        named: dict[tuple[str, str], list[Group]] = defaultdict(list)
        for group in dict.fromkeys((*self._groups.values(), *self._named.values())) if self._open else ():
            named[group.kind, _platform(group)].append(group)
        for piece, pointer in self._open:
            rule, home = pointer.rule, self._home(piece)
            for one in runs.get(id(home), [home]):
                kinds = met[id(one), rule.back]
                if any(fits(kind, rule.only or (rule.kind,)) for kind in kinds):
                    continue
                kinds.add(rule.kind)
                alike = named[rule.kind, rule.platform]
                if len(alike) == 1:
                    self._flow(one, alike[0], rule, piece, pointer.value.place)
                else:
                    self._make(piece, pointer, one)

    def _linked(self, piece: Piece) -> None:
        for pointer in piece.links:
            home = self._home(piece, pointer.rule.around)
            for target in self._targets(piece, pointer):
                if target is not home:
                    self._flow(home, target, pointer.rule, piece, pointer.value.place)

    def _targets(self, piece: Piece, pointer: Pointer) -> list[Group]:
        rule, value = pointer.rule, pointer.value
        found = [self._groups[ref] for ref in self._meant(value.refs)]
        if not found and rule.prefix and pointer.name:
            found = [g for n in self._keys(rule.prefix, pointer.name, piece) if (g := self._named.get(n))]
        if not found and pointer.name:
            found = list(self._hosts.named(pointer.name, piece.resource))
        if not found and rule.kind and pointer.name:
            key = self._keys(rule.prefix or "url", pointer.name, piece)[0]
            group = self._named.setdefault(key, Group([], [], {}))
            group.made.append((piece, pointer))
            found = [group]
        return [g for g in dict.fromkeys(found) if g.kind and (not rule.only or fits(g.kind, rule.only))]

    def _home(self, piece: Piece, around: bool = False) -> Group:
        """The thing that acts: what a call in a file does, its program does; in a function that is a tool, the tool."""
        group, resource = self._groups[piece.resource.id], piece.resource
        if around and (above := self._groups.get(resource.part_of)) is not None:
            group, resource = above, self._resource(resource.part_of, above)
        for _ in range(12):
            if group.kind and not self._only_program(group):
                return group
            above = self._groups.get(resource.part_of)
            if above is None:
                return group
            group, resource = above, self._resource(resource.part_of, above)
        return group

    @staticmethod
    def _resource(id_: str, group: Group) -> Resource:
        return next(p.resource for p in group.pieces if p.resource.id == id_)

    @staticmethod
    def _only_program(group: Group) -> bool:
        return all(p.resource.type == "program" and p.resource.part_of for p in group.pieces)

    def _keys(self, prefix: str, name: str, piece: Piece) -> tuple[str, ...]:
        plain = f"{prefix}:{normal(prefix, name)}"
        local = f"{plain}@{piece.resource.scope or piece.resource.place.file}"
        return (plain, local) if prefix in _GLOBAL else (local, plain)

    # --- addresses -----------------------------------------------------------------------------------------------
    def _addresses(self, piece: Piece) -> None:
        """Flows from variables and arguments that hold another's address."""
        if piece.resource.type not in _DEPLOYED or any(v.data is True for v in piece.resource.find("job")):
            return
        home = self._groups[piece.resource.id]
        for part in ("env", "command"):
            for path, value in (leaf for v in piece.resource.find(part) for leaf in v.leaves()):
                self._referenced(piece, home, path, value)
                # Of an unknown value what is written may still name a host: only the password comes from outside.
                text = as_text(value) or ("" if value.known else value.text)
                if text and (
                    part == "command" or "://" in text or re.search(r":\d", text) or _ADDRESS_NAME.search(path)
                ):
                    for target in self._hosts.named(text, piece.resource):
                        if target is not home and target.kind:
                            self._flow(home, target, LinkRule(to=path), piece, value.place)

    def _needed(self, piece: Piece) -> None:
        """What a container waits for, where the address may stand in what isn't known: stores and models are waited for by who uses them."""
        if not piece.resource.find("needs"):
            return
        env = (leaf for v in piece.resource.find("env") for leaf in v.leaves())
        open_ = {name for name, v in env if not v.known and (name == REST or _ADDRESS_NAME.search(name))}
        home = self._home(piece)
        needs = [
            (v, g) for v in piece.resource.find("needs") for g in self._hosts.named(as_text(v) or "", piece.resource)
        ]
        met = {id(b) for a, b, _, _ in self._flows if a is home} | {id(a) for a, b, _, _ in self._flows if b is home}
        # What stands behind something else that it waits for or calls is that one's.
        near = {id(g) for _, g in needs} | met
        behind = {id(b) for a, b, _, _ in self._flows if id(a) in near and a is not home}
        for value, target in needs:
            if (
                target is not home
                and id(target) not in met | behind
                and is_used(home.kind, target.kind, as_text(value) or "", open_)
            ):
                self._flow(home, target, LinkRule(to="needs"), piece, value.place)

    def _referenced(self, piece: Piece, home: Group, path: str, value: Value) -> None:
        """Flows from variables that are an attribute of something else: its endpoint, its name, its key."""
        for ref in value.refs:
            target = self._groups.get(ref)
            if target is None or target is home or not target.kind or target.kind.startswith(_UNCALLED):
                continue
            rule = LinkRule(to=path, verb="reads", back=True) if target.kind == "secret" else LinkRule(to=path)
            self._flow(home, target, rule, piece, value.place)

    def _flow(self, home: Group, other: Group, rule: LinkRule, piece: Piece, place: Place) -> None:
        if self._groups[piece.resource.id] is not home:
            home.doing[piece.resource.place] = None
        source, target = (other, home) if rule.back else (home, other)
        self._flows.append((source, target, rule, place))


_MORE = {"privileges": ("broad", "wildcard")}
"""Values that add up: of several roles the widest counts."""


def _platform(group: Group) -> str:
    own = (p.type.platform for p in group.pieces if p.type is not None and p.type.kind)
    return next(own, next((m.rule.platform for _, m in group.made), ""))


def _refs(value: Value) -> list[str]:
    return [*value.refs, *(r for _, leaf in value.leaves() for r in leaf.refs)]


__all__ = ["Group", "Value", "resolve"]

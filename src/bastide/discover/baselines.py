# SPDX-License-Identifier: Apache-2.0
"""Expectations on what was found: the setting that matters, the threat that it answers, and what passes, fails and can't be told.

Data: `knowledge/baselines/<family>/<id>.yaml`; a baseline without the three examples doesn't load. An expectation holds for a *role* in the
design (every agent that reads untrusted text and has a shell), not for a type of resource; the type catalogue gives all platforms the same facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml
from msgspec import Struct

from bastide.catalog.load import load_catalog
from bastide.discover.interpret import Fact
from bastide.discover.model import Place, State
from bastide.discover.result import Found, FoundFlow, Weakness
from bastide.discover.types import OTHER_KINDS, fits
from bastide.errors import Diagnostic, KnowledgeError, Location, did_you_mean
from bastide.plan.vocabulary import Vocabulary

KNOWLEDGE = Path(__file__).parents[1] / "knowledge" / "baselines"
State3 = Literal["pass", "fail", "unknown"]


class Condition(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """What a fact must be. Globs without case; booleans are `true` and `false`."""

    is_: tuple[str, ...] = msgspec.field(default=(), name="is")
    but: tuple[str, ...] = ()
    """None of these."""
    silent: State3 = "unknown"
    """What it means that nothing is known of it: `unknown`, or what the absence of the fact shows."""


class Example(Struct, frozen=True, forbid_unknown_fields=True):
    """A small folder."""

    files: dict[str, str]
    element: str = ""
    """Id of the component that is meant; needed only when several could be."""


class Baseline(Struct, frozen=True, forbid_unknown_fields=True, rename="kebab"):
    """One expectation."""

    title: str
    """What is expected, as a sentence."""
    why: str
    """What happens otherwise."""
    fix: str
    """What to change, for the platforms it applies to."""
    severity: Literal["critical", "high", "medium", "low"]
    category: str
    kinds: tuple[str, ...]
    """Kinds of component; a kind covers those below it."""
    require: dict[str, Condition]
    """Facts that have to be so; all of them."""
    passes: Example
    fails: Example
    unknown: Example
    when: dict[str, Condition] = {}
    """Only for components for which all of this is known to hold."""
    threats: tuple[str, ...] = ()
    controls: tuple[str, ...] = ()
    """Controls that ask for it."""
    shows: tuple[str, ...] = ()
    """Those of them that are in place where it holds."""
    checks: dict[str, tuple[str, ...]] = {}
    """Check ids of other scanners that show the same: `checkov`, `prowler`, `trivy`."""
    at: tuple[str, ...] = ()
    """Facts whose place is shown; without it those of `require`."""
    id: str = ""


@lru_cache(maxsize=4)
def load_baselines(packs: tuple[Path, ...] = ()) -> tuple[Baseline, ...]:
    """All expectations, checked. Raises `KnowledgeError`."""
    found, problems = [], []
    for root in (KNOWLEDGE, *(pack / "baselines" for pack in packs)):
        for path in sorted(root.glob("**/*.yaml")):
            try:
                document: Any = yaml.load(path.read_text("utf-8"), yaml.CSafeLoader)
                baseline = msgspec.convert(document, Baseline, strict=False)
                found.append(msgspec.structs.replace(baseline, id=path.relative_to(root).with_suffix("").as_posix()))
            except (msgspec.ValidationError, yaml.YAMLError, ValueError) as error:
                problems.append(Diagnostic(str(error).splitlines()[0], Location(str(path))))
    catalog = load_catalog(packs)
    known = {
        "kinds": {*catalog.vocabulary.kinds, *OTHER_KINDS, *(k.partition(".")[0] for k in catalog.vocabulary.kinds)},
        "threats": set(catalog.threats),
        "controls": set(catalog.controls),
    }
    for baseline in found:
        for part, ids in known.items():
            for word in getattr(baseline, part):
                if word not in ids:
                    hint = did_you_mean(word, ids)
                    problems.append(
                        Diagnostic(f"`{word}` is none of the {part}", Location(f"baselines/{baseline.id}"), hint=hint)
                    )
        for word in set(baseline.shows) - set(baseline.controls):
            problems.append(
                Diagnostic(f"shows `{word}`, which isn't among its controls", Location(f"baselines/{baseline.id}"))
            )
    if problems:
        raise KnowledgeError(problems)
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Judged:
    """The state of one expectation on one component."""

    baseline: Baseline
    element: str
    state: State3
    place: Place
    fact: str
    """The fact that decided."""


class Judge:
    """Holds expectations against components and flows."""

    def __init__(self, components: Mapping[str, Found], flows: Sequence[FoundFlow], vocabulary: Vocabulary) -> None:
        self._components, self._vocabulary = components, vocabulary
        self._out: dict[str, list[str]] = {}
        self._in: dict[str, list[str]] = {}
        for flow in flows:
            self._out.setdefault(flow.source, []).append(flow.target)
            self._in.setdefault(flow.target, []).append(flow.source)

    def judge(self, baselines: Iterable[Baseline]) -> Iterator[Judged]:
        """Each expectation on each component to which it applies."""
        for baseline in baselines:
            for component in self._components.values():
                if any(self._is_a(component.kind, kind) for kind in baseline.kinds):
                    judged = self._one(baseline, component)
                    if judged is not None:
                        yield judged

    def _is_a(self, kind: str, other: str) -> bool:
        if kind == other or kind.startswith(other + "."):
            return True
        known = self._vocabulary.kinds.get(kind)
        return known is not None and known.is_a(other)

    def _one(self, baseline: Baseline, component: Found) -> Judged | None:
        place = component.provenance[0]
        undecided = ""
        for name, condition in baseline.when.items():
            fact = self._fact(component, name)
            state = _holds(condition, fact, "fail" if condition.silent == "unknown" else condition.silent)
            if state == "fail":
                return None
            if state == "unknown":
                undecided = undecided or name
        worst: tuple[State3, str] = ("pass", "")
        for name, condition in baseline.require.items():
            state = _holds(condition, self._fact(component, name), condition.silent)
            if state == "fail" or (state == "unknown" and worst[0] == "pass"):
                worst = state, name
            if state == "fail":
                break
        state, decided = worst
        if undecided and state == "fail":
            state = "unknown"
        shown = [f for n in (*baseline.at, decided, *baseline.require) if (f := self._fact(component, n))]
        return Judged(baseline, component.id, state, shown[0].place if shown else place, decided or undecided)

    def _fact(self, component: Found, name: str) -> Fact | None:
        """A fact; or, for `to KIND`, `from KIND` and `to KIND: FACT`, what is known of the neighbours."""
        way, _, rest = name.partition(" ")
        if way not in ("to", "from") or not rest:
            return component.facts.get(name)
        kind, _, fact = rest.partition(": ")
        ids = (self._out if way == "to" else self._in).get(component.id, [])
        others = [c for i in ids if (c := self._components.get(i)) and self._is_a(c.kind, kind)]
        if not fact:
            return Fact(bool(others), State.KNOWN, (others or [component])[0].provenance[0])
        facts = [f for c in others if (f := c.facts.get(fact))]
        texts = tuple(dict.fromkeys(t for f in facts for t in _texts(f)))
        return Fact(texts, State.KNOWN, facts[0].place) if facts else None


def _holds(condition: Condition, fact: Fact | None, silent: State3) -> State3:
    if fact is None:
        return silent
    if fact.state is State.UNKNOWN or fact.value is None:
        return "unknown"
    texts = _texts(fact)
    if condition.but and any(fits(t, condition.but) for t in texts):
        return "fail"
    if condition.is_ and not any(fits(t, condition.is_) for t in texts):
        return "fail"
    return "pass"


def _texts(fact: Fact) -> tuple[str, ...]:
    if isinstance(fact.value, tuple):
        return fact.value
    return (str(fact.value).lower() if isinstance(fact.value, bool) else str(fact.value),)


def weaknesses(judged: Iterable[Judged], components: Mapping[str, Found]) -> Iterator[Weakness]:
    """What doesn't hold or can't be told, as findings with what to do."""
    for one in judged:
        if one.state != "pass":
            name = components[one.element].name
            verdict = f"not so for {name}" if one.state == "fail" else f"it can't be told for {name}"
            yield Weakness(
                one.baseline.id,
                one.element,
                one.state,
                one.place,
                one.baseline.title.rstrip("."),
                verdict,
                one.baseline.fix,
                one.baseline.severity,
                one.baseline.category,
            )

# SPDX-License-Identifier: Apache-2.0
"""Findings about fields: personal data and secrets, the classification, and what the purpose doesn't need."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from bastide.verify.datasets import knowledge
from bastide.verify.datasets.describe import Description
from bastide.verify.datasets.model import Finding, Place, Severity
from bastide.verify.datasets.partial import Hit, Tally
from bastide.verify.datasets.roles import Roles

Where = Callable[[tuple[int, int]], Place]


class Sensitive(NamedTuple):
    """Something sensitive in a field."""

    field: str
    kind: str
    """`personal/email`, `secret/aws-access-key`, or `field/gender` when the field's name says it."""
    category: str
    identifies: str
    rows: int
    place: Place
    evidence: str
    severity: Severity


def sensitive(fields: Mapping[str, Tally], where: Where) -> list[Sensitive]:
    """What was found, without what is chance; and what names of fields say whose values look like it."""
    found: list[Sensitive] = []
    for name, tally in fields.items():
        hits = {rule: hit for rule, hit in tally.hits.items() if hit.rows and not _chance(rule, name, hit, tally)}
        for rule, hit in hits.items():
            means = knowledge.meaning(rule)
            found.append(
                Sensitive(
                    name,
                    rule,
                    means.category,
                    means.identifies,
                    hit.rows,
                    where(hit.first),
                    hit.evidence,
                    means.severity,
                )
            )
        if picture := _picture(name, tally):
            found.append(
                Sensitive(
                    name,
                    picture,
                    "personal",
                    "indirect",
                    _filled(tally),
                    Place(),
                    f"[{name[:40]}]",
                    knowledge.meaning(picture).severity,
                )
            )
        elif (kind := knowledge.personal_field(name)) and _looks(kind, tally):
            filled = _filled(tally)
            if any(_says_more(s, kind, filled) for s in found if s.field == name):
                continue
            severity = Severity.MEDIUM if kind.identifies == "indirect" else Severity.HIGH
            evidence = f"a field named `{name[:80]}`"
            found.append(
                Sensitive(
                    name, f"field/{kind.kind}", kind.category, kind.identifies, filled, Place(), evidence, severity
                )
            )
    return found


_PICTURE = {
    "BodySerialNumber": "device", "LensSerialNumber": "device", "HostComputer": "device", "CameraOwnerName": "name", "Artist": "name",
    "XPAuthor": "name", "GPSLatitude": "gps", "GPSLongitude": "gps", "GPSAreaInformation": "gps",
}  # fmt: skip


def _picture(name: str, tally: Tally) -> str:
    """What a picture's metadata say about a person; '' for nothing."""
    if name == "xmp" and any("exif:GPSLatitude" in str(x) for x in tally.examples):
        return "personal/gps"
    kind = _PICTURE.get(name.removeprefix("exif.")) if name.startswith("exif.") else None
    return f"personal/{kind}" if kind else ""


def _says_more(found: Sensitive, kind: knowledge.Personal, filled: int) -> bool:
    """What was found in most values needs no second finding from the field's name."""
    return found.rows * 2 >= filled and (found.category == kind.category or found.identifies == "direct")


def _filled(tally: Tally) -> int:
    return sum(n for kind, n in tally.types.items() if kind != "null")


_VERSION = {"version", "versions", "release", "build", "ver"}


def _chance(rule: str, field: str, hit: Hit, tally: Tally) -> bool:
    """Whether matches are what any column of numbers has: checks that one number in ten passes, where the other nine fail it."""
    name = rule.partition("/")[2]
    have = set(knowledge.words(field).split())
    if rule == "personal/ip-address" and have & _VERSION:
        return True
    if rule.startswith("secret/"):
        return False
    checks = knowledge.fields().chance
    if any(check in name for check in checks):
        matches = hit.passed + hit.failed
        # Numbers within texts are of many kinds; only where very few of many pass is it chance.
        few = hit.failed > hit.passed if hit.whole * 2 >= matches else hit.failed >= 10 and hit.passed < 0.15 * matches
        if few:
            return True
    if name == "phone" and knowledge.personal_field(field) is None:
        # Whole values in a shape that ids and codes have too; telephone numbers in a column come with a name that says so, or with a plus.
        return hit.whole > 0 and hit.whole >= hit.rows and not _international(tally)
    if name == "birth-date":
        return not (have & {"birth", "born", "dob", "birthday", "birthdate", "geburtsdatum"}) and hit.whole >= hit.rows
    return False


def _international(tally: Tally) -> bool:
    texts = [x for x in tally.examples if isinstance(x, str)]
    signs = sum(x.lstrip().startswith(("+", "(")) or " " in x or x.count("-") == 2 for x in texts)
    return signs * 2 >= len(texts) > 0


_DIGITS = re.compile(r"\d")
_NAME = re.compile(r"[^\W\d_][\w'.-]*(?: [^\W\d_][\w'.-]*){0,4}")


def _looks(kind: knowledge.Personal, tally: Tally) -> bool:
    """Whether values look like what the field's name says; numbers and hashes in their place are pseudonyms or features."""
    seen = [x for x in tally.examples if x is not None and x != ""]
    if not seen:
        return False
    fits = {
        "words": lambda x: isinstance(x, str) and bool(_NAME.fullmatch(x.strip())) and len(x) <= 60,
        "email": lambda x: isinstance(x, str) and "@" in x,
        "digits": lambda x: isinstance(x, int | str) and len(_DIGITS.findall(str(x))) >= 3 and len(str(x)) <= 40,
        "text": lambda x: isinstance(x, str) and not re.fullmatch(r"[0-9a-f]{32,}|\*+|x+", x, re.IGNORECASE),
        "number": lambda x: isinstance(x, float) or (isinstance(x, str) and bool(re.match(r"-?\d+\.\d+", x))),
        "any": lambda x: not isinstance(x, bool) and len(str(x)) <= 400,
    }[kind.values]
    return sum(map(fits, seen)) * 2 > len(seen)


def judge_sensitive(found: list[Sensitive], rows: int, stated: Description) -> Iterator[Finding]:
    """Secrets are findings always; personal data when nothing says that it is there."""
    for one in found:
        rate = one.rows / rows if rows else None
        if one.category == "credentials":
            message = (
                "looks like a credential; revoke it where it is valid, and take it out: models learn secrets by heart"
            )
            yield Finding(
                "dataset/secret",
                Severity.CRITICAL,
                message,
                one.field,
                one.place,
                one.rows,
                rate,
                one.evidence,
                one.kind,
            )
            continue
        declared = any(knowledge.same_category(have, one.category) for have in stated.contains)
        severity = Severity.LOW if declared else one.severity
        what = {
            "direct": "names a person",
            "indirect": "helps to find out who a person is",
            "special": "is of a kind that laws protect most",
        }
        done = (
            f"stated as `{one.category}`"
            if declared
            else f"not stated: remove or pseudonymise it, or state `{one.category}` under `contains` with the purpose that needs it"
        )
        message = f"personal data that {what[one.identifies]}; {done}"
        yield Finding(
            "dataset/personal-data", severity, message, one.field, one.place, one.rows, rate, one.evidence, one.kind
        )


def judge_rows(
    found: list[Sensitive], classified: Mapping[str, int], places: Mapping[str, tuple[int, int]], where: Where
) -> Iterator[Finding]:
    """Rows that are classified lower than what is in them needs."""
    known = {(one.kind, one.field): one for one in found}
    rank = knowledge.CLASSES.index
    for key, rows in sorted(classified.items()):
        level, kind, name = key.split("\t", 2)
        one = known.get((kind, name))
        need = knowledge.fields().classes.get(one.category, "internal") if one else level
        if one and _weighs(one) and rank(level) < rank(need):
            message = f"rows are classified as {level}, but what is in them needs {need} (`{one.category}`): raise the classification, or take it out"
            yield Finding(
                "dataset/classification-understated",
                Severity.HIGH,
                message,
                name,
                where(places[key]),
                rows,
                None,
                one.evidence,
                kind,
            )


def _weighs(one: Sensitive) -> bool:
    """Whether something asks for a classification: an address of a computer alone doesn't."""
    return one.kind != "personal/ip-address" and one.severity is not Severity.LOW


def judge_classification(found: list[Sensitive], stated: Description, by_row: bool) -> Iterator[Finding]:
    """Whether the stated classification is high enough for what was found. by_row: whether rows state their own."""
    need: dict[str, Sensitive] = {}
    for one in found:
        level = knowledge.fields().classes.get(one.category, "internal")
        if not _weighs(one):
            continue
        if level not in need or need[level].rows < one.rows:
            need[level] = one
    if not need:
        return
    rank = knowledge.CLASSES.index
    highest = max(need, key=rank)
    why = need[highest]
    level = stated.classification
    if level and rank(level) < rank(highest):
        message = f"classified as {level}, but data in it needs {highest} (`{why.category}`): raise the classification, or take the data out"
        yield Finding(
            "dataset/classification-understated",
            Severity.HIGH,
            message,
            why.field,
            why.place,
            why.rows,
            None,
            why.evidence,
            why.kind,
        )
    elif not level and not by_row:
        message = f"no classification is stated, and data in it needs {highest} (`{why.category}`)"
        yield Finding(
            "dataset/classification-missing",
            Severity.MEDIUM,
            message,
            why.field,
            why.place,
            why.rows,
            None,
            why.evidence,
            why.kind,
        )
    if stated.contains:
        missing = sorted(
            {o.category for o in found if not any(knowledge.same_category(h, o.category) for h in stated.contains)}
        )
        for category in missing:
            first = next(o for o in found if o.category == category)
            message = f"`{category}` is in the data, but not among what is stated ({', '.join(stated.contains)}): state it or take it out"
            yield Finding(
                "dataset/category-undeclared",
                Severity.HIGH,
                message,
                first.field,
                first.place,
                first.rows,
                None,
                first.evidence,
                first.kind,
            )


def judge_need(
    found: list[Sensitive], fields: Mapping[str, Tally], stated: Description, roles: Roles
) -> Iterator[Finding]:
    """What the purpose doesn't need: fields that nobody stated, stated ones that are missing, identifiers without a purpose."""
    if stated.fields:
        needed = set(stated.fields)
        for name in fields:
            if not _covered(name, needed):
                one = next((o for o in found if o.field == name), None)
                severity = Severity.HIGH if one else Severity.MEDIUM
                message = "isn't among the fields that the purpose needs: drop it, or state it"
                kind = one.kind if one else roles.of.get(name, "")
                yield Finding(
                    "dataset/field-not-needed", severity, message, name, evidence=one.evidence if one else "", kind=kind
                )
        for name in sorted(needed):
            if fields and not any(_covered(have, {name}) for have in fields):
                yield Finding("dataset/field-missing", Severity.LOW, "is stated, but in no file that was read", name)
    elif not stated.purpose:
        whole = [
            o for o in found if o.identifies != "indirect" and o.category != "credentials" and _is_column(o, fields)
        ]
        for one in whole:
            message = "a whole field of data about persons, and no purpose is stated that needs it: drop it, or state purpose and fields"
            yield Finding(
                "dataset/identifier-without-purpose",
                Severity.HIGH,
                message,
                one.field,
                one.place,
                one.rows,
                None,
                one.evidence,
                one.kind,
            )


def _is_column(one: Sensitive, fields: Mapping[str, Tally]) -> bool:
    return one.rows * 2 >= _filled(fields[one.field]) and fields[one.field].longest <= 200


def _covered(name: str, needed: set[str]) -> bool:
    """Whether a field is stated, by itself or as part of one."""
    plain = name.replace("[]", "")
    return any(n in (plain, name) or plain.startswith(f"{n}.") for n in needed)

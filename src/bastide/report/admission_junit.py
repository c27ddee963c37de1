# SPDX-License-Identifier: Apache-2.0
"""A decision about a model as JUnit's XML, which pipelines show: a test case for each demand."""

from __future__ import annotations

from xml.etree import ElementTree

from bastide.report.text import clean
from bastide.verify.admission.model import Decision
from bastide.verify.signing.model import Check, Outcome


def decision_junit(decision: Decision) -> str:
    """The document: what is refused is a failure, what can't be decided an error."""
    outcomes = [check.outcome for check in decision.checks]
    counts = {
        "tests": str(len(outcomes)),
        "failures": str(outcomes.count(Outcome.REFUSED)),
        "errors": str(outcomes.count(Outcome.UNKNOWN)),
    }
    root = ElementTree.Element("testsuites", {"name": "bastide admit", **counts})
    stage = f" to {decision.stage}" if decision.stage else ""
    name = clean(f"{decision.name}{stage}")
    at = decision.at.isoformat(timespec="seconds")
    suite = ElementTree.SubElement(root, "testsuite", {"name": name, "timestamp": at, **counts})
    properties = ElementTree.SubElement(suite, "properties")
    for key, value in (("digest", decision.digest), ("outcome", decision.outcome.value), ("policy", decision.policy)):
        ElementTree.SubElement(properties, "property", {"name": key, "value": clean(value)})
    for check in decision.checks:
        _case(suite, check, name)
    ElementTree.indent(root)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{ElementTree.tostring(root, "unicode")}\n'


def _case(suite: ElementTree.Element, check: Check, name: str) -> None:
    case = ElementTree.SubElement(suite, "testcase", {"name": clean(check.id), "classname": name})
    if check.outcome is Outcome.HOLDS:
        ElementTree.SubElement(case, "system-out").text = clean(check.reason)
        return
    kind = "failure" if check.outcome is Outcome.REFUSED else "error"
    found = ElementTree.SubElement(case, kind, {"message": clean(check.reason), "type": check.outcome.value})
    where = f"demanded at {check.location}" if check.location.file else ""
    found.text = clean("\n".join(filter(None, (check.reason, check.hint, where))))

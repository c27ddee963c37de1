# SPDX-License-Identifier: Apache-2.0
"""What stands in the arguments of a proposed call, beside where it comes from: a tool is a way out like every answer.

Source: OWASP LLM02 (sensitive information disclosure), MITRE ATLAS AML.T0086 (exfiltration via tool invocation).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from bastide.errors import Denied
from bastide.guard.content import schema
from bastide.guard.content.stream import Check
from bastide.guard.events import ToolCall
from bastide.guard.flow.exfiltration import judge, links
from bastide.guard.flow.leaves import Kind, leaves
from bastide.guard.interface import Scanner
from bastide.guard.model import Outcome, Verdict

STEPS = 5_000
"""Steps for which the arguments of a call are compared with a schema, which may be a hostile server's."""
CARRIES = 0.7
"""Score of a link from which on data seem to be carried in it."""


def fit(call: ToolCall, described: Any) -> None:
    """Nothing, when the arguments are what the tool's own schema demands, or the schema can't be judged. Raises `Denied`."""
    try:
        wrong = schema.misfit(call.arguments, described, "arguments", STEPS)
    except schema.Unjudged:
        return
    if wrong:
        raise Denied(f"the call of `{call.name[:80]}` doesn't fit the tool's own schema: {wrong}", code="schema")


def held(call: ToolCall, texts: Sequence[str], scanner: Scanner, leaks: Sequence[Check]) -> Verdict:
    """What the content checks see in the texts of a call's arguments. Raises `Denied` for what must not go to any tool.

    leaks: looks for recitals of system prompts, where the tool leads outside.
    """
    # In one piece, so that nothing hides in the seam of two arguments; a blank line ends what could go on by accident.
    said = "\n\n".join(texts)
    verdict = scanner.argument(said)
    if verdict.outcome in (Outcome.REDACT, Outcome.BLOCK):
        raise Denied(
            f"the arguments of `{call.name[:80]}` hold what no tool may have: {verdict.reason}", code="content_blocked"
        )
    for leak in leaks:
        for found in leak.find(said):
            raise Denied(
                f"the arguments of `{call.name[:80]}` hold the system prompt: {found.why}", code="content_blocked"
            )
    return verdict


def way_out(
    call: ToolCall, roles: Mapping[str, str], trusted: Callable[[str], bool], hosts: Callable[[], Collection[str]]
) -> str:
    """Why a link in what a call says or stores may carry data out; '' when none does. What decides where it goes is traced elsewhere.

    roles: `Meaning.arguments`.
    """
    for leaf in leaves(call.arguments or {}, roles) or ():
        for link in links(leaf.value) if leaf.kind in (Kind.CONTENT, Kind.FREE) else ():
            found = judge(link, trusted, hosts())
            if found is not None and found.score >= CARRIES:
                return found.why
    return ""

# SPDX-License-Identifier: Apache-2.0
"""`bastide guard replay`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bastide.cli import options
from bastide.cli.output import keep_inputs, put
from bastide.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from bastide.guard.flow.replay import Decided, Judge
    from bastide.guard.flow.trace import Trace

    Replayed = tuple[Trace, tuple[Decided, ...]]

STYLES = {"allow": "green", "approve": "bold yellow", "deny": "bold red"}


@click.command()
@click.argument("traces", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="TRACE...")
@click.option(
    "--plan",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Decide by this plan, not by the traces' own list of tools.",
)
@click.option("--settings", type=click.Path(path_type=Path), metavar="FILE", help="The guard's settings, with --plan.")
@click.option(
    "--actor",
    default="",
    metavar="ID",
    help="What kind of person the user is, with --plan; default: the first who reaches the agent.",
)
@options.format_option("table", "json", default="table")
@click.option(
    "--fail-on",
    type=click.Choice(["deny", "approve"]),
    help="Exit with 1 when a call is denied (or, with approve, not simply allowed).",
)
@options.output_option
@options.pack_option
@options.quiet_option
@click.pass_context
def replay(
    ctx: click.Context,
    *,
    traces: tuple[Path, ...],
    plan: Path | None,
    settings: Path | None,
    actor: str,
    format_: str,
    fail_on: str | None,
    output: Path | None,
    packs: tuple[Path, ...],
    quiet: bool,
) -> None:
    """Decide each tool call of recorded agent traces (JSON or JSONL) as the guard would have decided it.

    \b
    A trace: {"agent": "...", "user_task": "...",
              "tools": [{"name": "send_mail", "side_effect": true, "outbound": true}],
              "events": [{"type": "user", "content": "..."},
                         {"type": "tool_call", "id": "1", "name": "read_mail", "arguments": {}},
                         {"type": "tool_result", "id": "1", "content": "..."}]}
    What a trace doesn't say about a tool has the most cautious value.

    \b
    Exit codes: 0 decided; 1 a call came to what --fail-on says; 2 a trace, the plan or the call is wrong.

    \b
    Examples:
      bastide guard replay run.json
      bastide guard replay runs.jsonl --plan bastide.yaml --format json --fail-on deny
    """
    if settings is not None and plan is None:
        raise click.UsageError("--settings goes with --plan")
    keep_inputs([output], *traces, plan, settings)
    replayed = _replay(traces, plan, settings, packs, actor)
    if format_ == "json":
        from bastide.report.document import dumps, head

        put(dumps({**head(), **_document(replayed)}), output, quiet)
    else:
        put(_table(replayed, output is None), output, quiet)
    counts = Counter(d.ruling.effect.value for _, decided in replayed for d in decided)
    if fail_on and (counts["deny"] or (fail_on == "approve" and counts["approve"])):
        ctx.exit(1)


def _replay(
    paths: Sequence[Path], plan: Path | None, settings: Path | None, packs: tuple[Path, ...], actor: str
) -> list[Replayed]:
    from bastide.catalog.load import load_vocabulary
    from bastide.guard.flow.replay import judge_of, replay
    from bastide.guard.flow.trace import read_traces

    traces = [trace for path in paths for trace in read_traces(path)]
    vocabulary = load_vocabulary(packs)
    judges: dict[Any, Judge] = {}
    found = []
    for trace in traces:
        if plan is None:
            key: Any = (trace.agent, trace.tools, tuple(sorted(trace.approval)), tuple(sorted(trace.clearance.items())))
            key = repr(key)
            if key not in judges:
                judges[key] = judge_of(trace, vocabulary)
        else:
            key = trace.agent
            if key not in judges:
                judges[key] = _planned(plan, settings, packs, trace, actor)
        found.append((trace, tuple(replay(trace, judges[key]))))
    return found


def _planned(plan: Path, settings: Path | None, packs: tuple[Path, ...], trace: Trace, actor: str) -> Judge:
    from bastide.catalog.load import load_vocabulary
    from bastide.guard.flow.replay import judge_for
    from bastide.guard.settings_file import load_settings, settings_for
    from bastide.plan.load import load_plan

    vocabulary = load_vocabulary(packs)
    loaded = load_plan(plan, vocabulary)
    if trace.agent not in loaded.components:
        raise UsageError(
            f"{trace.location}: the plan has no component `{trace.agent[:80]}`: {did_you_mean(trace.agent, loaded.components)}"
        )
    own = load_settings(settings) if settings is not None else settings_for(plan)
    return judge_for(loaded, vocabulary, own, trace.agent, actor)


def _document(replayed: Sequence[Replayed]) -> dict[str, Any]:
    decisions = [{"trace": n, **_decision(d)} for n, (_, decided) in enumerate(replayed) for d in decided]
    counts = Counter(d["decision"] for d in decisions)
    listed = [
        {
            "id": t.id,
            "file": t.location.file,
            "line": t.location.line,
            "agent": t.agent,
            "user_task": t.user_task,
            "calls": len(d),
        }
        for t, d in replayed
    ]
    return {
        "traces": listed,
        "decisions": decisions,
        "summary": {"calls": len(decisions), **{effect: counts[effect] for effect in STYLES}},
    }


def _decision(decided: Decided) -> dict[str, Any]:
    label, ruling = decided.influence.label, decided.ruling
    return {
        "event": decided.event,
        "id": decided.call.id,
        "name": decided.call.name,
        "decision": ruling.effect.value,
        "reason": _reason(decided),
        "policies": list(ruling.policies),
        "flow": ruling.flow,
        "label": {"integrity": label.author, "confidentiality": label.class_, "sources": sorted(label.sources)},
        "traced": decided.influence.traced,
        "untraced": [
            {"path": u.path, "value": u.value, "sources": sorted(u.sources)} for u in decided.influence.untraced
        ],
    }


def _reason(decided: Decided) -> str:
    """The policy's reason, and which values it is about."""
    if decided.ruling.effect.value == "allow" or not decided.influence.untraced:
        return decided.ruling.reason
    return f"{decided.ruling.reason}. Not traced: {'; '.join(_untraced(decided))}"


def _untraced(decided: Decided) -> Iterator[str]:
    for one in decided.influence.untraced[:5]:
        where = f"found in {', '.join(sorted(one.sources))}" if one.sources else "found nowhere"
        if one.path:
            yield f"{one.path} = {one.value!r} ({where})"
        else:
            yield f"nothing shows that the user asked for `{one.value}`"


def _table(replayed: Sequence[Replayed], to_screen: bool) -> str:
    from bastide.cli.screen import Screen, text
    from bastide.cli.text import one_line, plural

    screen = Screen(to_screen)
    counts: Counter[str] = Counter()
    for trace, decided in replayed:
        screen.heading(f"{trace.id or trace.location}: {trace.agent}: {one_line(trace.user_task)[:100]}".rstrip(": "))
        rows = []
        for d in decided:
            effect = d.ruling.effect.value
            counts[effect] += 1
            rows.append((str(d.event), text(effect, STYLES[effect]), one_line(d.call.name)[:40], one_line(_reason(d))))
        screen.rows(rows, indent=2)
    screen.add("")
    screen.add(f"{plural(sum(counts.values()), 'call')}: {', '.join(f'{counts[e]} {e}' for e in STYLES)}")
    return screen.text()

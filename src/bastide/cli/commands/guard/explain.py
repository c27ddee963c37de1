# SPDX-License-Identifier: Apache-2.0
"""`bastide guard explain`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bastide.cli import options
from bastide.cli.commands.guard.policy import read_policy, settings_option
from bastide.cli.output import put
from bastide.errors import UsageError, did_you_mean
from bastide.guard.model import CLASSES, Action
from bastide.plan.vocabulary import TRUST_LEVELS

if TYPE_CHECKING:
    from bastide.guard.model import Question
    from bastide.guard.policy.decide import CompiledPolicy
    from bastide.guard.policy.explain import Explanation
    from bastide.guard.policy.recorded import Recorded


@click.command()
@options.plan_argument()
@settings_option
@click.option("--agent", metavar="ID", help="Who calls: a component of the plan.")
@click.option(
    "--tool", metavar="NAME", help="What is called: a tool, model or store, by its name on the wire or in the plan."
)
@click.option(
    "--action", type=click.Choice([a.value for a in Action]), help="What is done; default: what the tool is for."
)
@click.option("--user", default="", metavar="ID", help="For whom; default: for nobody.")
@click.option("--actor", default="", metavar="ID", help="What kind of person that is: a component of the plan.")
@click.option("--tenant", default="", metavar="ID", help="The caller's tenant.")
@click.option("--scope", "scopes", multiple=True, metavar="SCOPE", help="A scope of the credential; repeatable.")
@click.option(
    "--clearance", type=click.Choice(CLASSES), default=CLASSES[-1], help="Highest class that the user may see."
)
@click.option(
    "--integrity", type=click.Choice(TRUST_LEVELS), default=TRUST_LEVELS[-1], show_default=True,
    help="The least trusted author of what shaped the call.",
)  # fmt: skip
@click.option(
    "--class",
    "class_",
    type=click.Choice(CLASSES),
    default=CLASSES[0],
    show_default=True,
    help="Highest class of what is sent.",
)
@click.option("--source", "sources", multiple=True, metavar="ID", help="Where that came from; repeatable.")
@click.option("--traced", is_flag=True, help="All that decides what happens comes from trusted input.")
@click.option("--approved", is_flag=True, help="A person has agreed to exactly this call.")
@click.option(
    "--argument",
    "arguments",
    multiple=True,
    metavar="NAME=JSON",
    help="An argument, for policies of your own; repeatable.",
)
@click.option(
    "--log",
    type=click.Path(path_type=Path),
    metavar="FOLDER",
    help="Explain what is in this log instead; with --request.",
)
@click.option(
    "--request", "request_id", default="", metavar="ID", help="The request in the log, as the guard's answer names it."
)
@options.format_option("table", "json", default="table")
@options.output_option
@options.pack_option
@options.quiet_option
def explain(
    *,
    plan: Path,
    settings: Path | None,
    format_: str,
    output: Path | None,
    packs: tuple[Path, ...],
    quiet: bool,
    **asked: Any,
) -> None:
    """Say why a call would be allowed or denied by the policy of PLAN, and what would change that.

    \b
    Examples:
      bastide guard explain bastide.yaml --agent assistant --tool refund --user u1 --actor customer --integrity public
      bastide guard explain bastide.yaml --log guard-log --request 6f1c
    """
    from bastide.guard.policy.decide import CompiledPolicy
    from bastide.guard.policy.explain import explain as explained

    log, request = asked["log"], asked["request_id"]
    if bool(log) != bool(request):
        raise click.UsageError("--log and --request go together")
    if not log and not (asked["agent"] and asked["tool"]):
        raise click.UsageError("say who calls what: --agent and --tool; or what to look up: --log and --request")
    policy = CompiledPolicy(read_policy(plan, settings, packs))
    if log:
        put(_from_log(policy, log, request, format_, output is None), output, quiet)
        return
    found = explained(policy, _question(policy, asked))
    if format_ == "json":
        from bastide.guard.policy.show import explanation_data
        from bastide.report.document import dumps, head

        put(dumps({**head(), **explanation_data(found)}), output, quiet)
    else:
        put(_table(found, output is None), output, quiet)


def _question(policy: CompiledPolicy, asked: dict[str, Any]) -> Question:
    from bastide.guard.model import Caller, Label, Question
    from bastide.guard.policy.explain import name_on_the_wire

    components = policy.compiled.plan.components
    for id in filter(None, (asked["agent"], asked["actor"])):
        if id not in components:
            raise UsageError(f"the plan has no component `{id[:80]}`: {did_you_mean(id, components)}")
    meaning = name_on_the_wire(policy, asked["tool"])
    resource = meaning.component if meaning else asked["tool"]
    action = Action(asked["action"]) if asked["action"] else meaning.action if meaning else Action.INVOKE_TOOL
    caller = Caller(
        agent=asked["agent"],
        user=asked["user"],
        actor=asked["actor"],
        tenant=asked["tenant"],
        scopes=frozenset(asked["scopes"]),
        clearance=CLASSES.index(asked["clearance"]),
    )
    label = Label(TRUST_LEVELS.index(asked["integrity"]), CLASSES.index(asked["class_"]), frozenset(asked["sources"]))
    arguments = dict(_argument(one) for one in asked["arguments"])
    return Question(caller, action, resource, asked["tool"], label, asked["traced"], asked["approved"], arguments)


def _argument(written: str) -> tuple[str, Any]:
    name, equals, value = written.partition("=")
    if not (name and equals):
        raise UsageError(f"`{written[:80]}` is no argument; write NAME=JSON, such as amount=50")
    try:
        return name, json.loads(value)
    except (ValueError, RecursionError):
        return name, value


def _table(found: Explanation, to_screen: bool) -> str:
    """The ruling, what it rests on, what would change it."""
    from bastide.cli.screen import Screen, join, text

    ruling = found.ruling
    screen = Screen(to_screen)
    screen.add(join(text(ruling.effect.value.upper(), _STYLES[ruling.effect.value]), "  ", ruling.reason))
    if found.meaning is not None:
        m = found.meaning
        screen.heading(f"What `{m.name}` is")
        outside = f"sends up to {CLASSES[m.clearance]} data outside" if m.outbound else "sends nothing outside"
        screen.add(
            f"{m.component}: {m.side_effect.name.lower()}, {outside}, returns {m.result.class_} text by {m.result.author}",
            indent=2,
        )
    if found.flow is not None:
        screen.heading("The flow")
        screen.add(f"{found.flow.id} ({found.flow.location})", indent=2)
    if found.policies:
        screen.heading("The policies that decided")
        for policy in found.policies:
            screen.add(text(policy.text), indent=2)
    if found.changes:
        screen.heading("What would change it")
        words = {"allow": "allowed", "approve": "allowed after a person agreed,"}
        screen.rows(((words[c.effect.value], f"when {c.words}") for c in found.changes), indent=2)
    return screen.text()


def _from_log(policy: CompiledPolicy, log: Path, request: str, format_: str, to_screen: bool) -> str:
    """What the log says about a request. Raises `UsageError` when it says nothing."""
    from itertools import chain

    from bastide.evidence.parts import ledgers
    from bastide.guard.policy.recorded import recorded
    from bastide.guard.record.entries import entries

    found = list(recorded(chain.from_iterable(map(entries, ledgers(log))), request, policy))
    if not found:
        raise UsageError(f"{log}: says nothing about a decision in the request `{request[:80]}`")
    if format_ == "json":
        from bastide.guard.policy.show import recorded_data
        from bastide.report.document import dumps, head

        return dumps({**head(), "request": request, "decisions": [recorded_data(one) for one in found]})
    return "\n".join(_recorded(one, to_screen) for one in found)


def _recorded(one: Recorded, to_screen: bool) -> str:
    from bastide.cli.screen import Screen, join, text

    screen = Screen(to_screen)
    screen.add(join(text(one.effect.upper(), _STYLES.get(one.effect, "bold")), "  ", one.reason))
    whom = f" for `{one.user}`" if one.user else ""
    screen.add(f"`{one.agent}`{whom} asked for `{one.what}`; shaped by {one.influence}", indent=2)
    if one.flow:
        screen.add(f"by the flow {one.flow}", indent=2)
    for id, policy in one.policies:
        screen.add(text(policy.text if policy else f"{id}: the policy has none of this name any more"), indent=2)
    if not one.current:
        screen.add("the policy has changed since then", indent=2)
    return screen.text()


_STYLES = {"allow": "bold green", "approve": "bold yellow", "deny": "bold red"}

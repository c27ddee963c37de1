# SPDX-License-Identifier: Apache-2.0
"""`bastide guard policy`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from bastide.cli import options
from bastide.cli.output import keep_inputs, put

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from bastide.guard.model import Meaning
    from bastide.guard.policy.compile import Compiled

settings_option = click.option(
    "--settings", type=click.Path(path_type=Path), metavar="FILE",
    help="The guard's settings; default: PLAN's name with .guard.yaml, when that file is there.",
)  # fmt: skip


@click.command()
@options.plan_argument()
@settings_option
@click.option(
    "--schema", "only_schema", is_flag=True, help="Print the Cedar schema of requests: what a policy may read."
)
@options.format_option("cedar", "json", "table", default="cedar")
@options.output_option
@options.pack_option
@options.quiet_option
def policy(
    *,
    plan: Path,
    settings: Path | None,
    only_schema: bool,
    format_: str,
    output: Path | None,
    packs: tuple[Path, ...],
    quiet: bool,
) -> None:
    """Print the policy that is compiled from PLAN (default: bastide.yaml).

    \b
    Examples:
      bastide guard policy bastide.yaml
      bastide guard policy bastide.yaml --format table      who may do what, and what it means
      bastide guard policy --schema -o bastide.cedarschema
    """
    keep_inputs([output], plan, settings)
    compiled = read_policy(plan, settings, packs)
    if only_schema:
        put(compiled.schema, output, quiet)
    elif format_ == "json":
        from bastide.guard.policy.show import policy_data
        from bastide.report.document import dumps, head

        put(dumps({**head(), **policy_data(compiled)}), output, quiet)
    elif format_ == "cedar":
        from bastide.guard.policy.show import policy_cedar

        put(policy_cedar(compiled), output, quiet)
    else:
        put(_table(compiled, output is None), output, quiet)


def read_policy(plan: Path, settings: Path | None, packs: tuple[Path, ...]) -> Compiled:
    """The compiled policy of a plan's file. Raises `PlanError`, `SettingsError`."""
    from bastide.catalog.load import load_vocabulary
    from bastide.guard.policy.compile import compile_plan
    from bastide.guard.settings_file import load_settings, plan_meant, settings_for
    from bastide.plan.load import load_plan

    if settings is not None and plan == Path("bastide.yaml") and not plan.exists():
        # Nobody named it: the settings know their plan.
        plan = plan_meant(None, settings)
    vocabulary = load_vocabulary(packs)
    chosen = load_settings(settings) if settings else settings_for(plan)
    return compile_plan(load_plan(plan, vocabulary), vocabulary, chosen)


def _table(compiled: Compiled, to_screen: bool) -> str:
    """Who may do what, by which flow, and what the names mean."""
    from bastide.cli.screen import Screen
    from bastide.cli.text import one_line
    from bastide.guard.model import CLASSES

    screen = Screen(to_screen)
    screen.heading("What the flows permit")
    screen.table(
        ("agent", "action", "on", "by the flow", "on condition"),
        (
            (r.agent, r.action.value, r.resource, r.id, ", ".join(["a person agrees"] * r.approval + sorted(r.scopes)))
            for r in compiled.routes
        ),
    )
    screen.heading("For whom")
    screen.table(("agent", "people"), ((agent, ", ".join(people)) for agent, people in compiled.actors.items()))
    screen.heading("What the names mean")
    screen.table(
        ("name", "is", "side effect", "sends outside", "returns"),
        (
            (
                one_line(name),
                m.component,
                m.side_effect.name.lower(),
                f"up to {CLASSES[m.clearance]}" if m.outbound else "no",
                f"{m.result.class_}, by {m.result.author}",
            )
            for name, m in _once(compiled.meanings)
        ),
    )
    screen.heading("What is forbidden in spite of a flow")
    screen.rows((p.id, one_line(p.text.partition("when ")[2] or p.text)) for p in compiled.policies if not p.permits)
    own = [p for p in compiled.policies if p.id.startswith("own:") and p.permits]
    if own:
        screen.heading("What is permitted beyond the plan")
        screen.rows((p.id, str(p.location)) for p in own)
    screen.add("", compiled.version)
    return screen.text()


def _once(meanings: Mapping[str, Meaning]) -> Iterable[tuple[str, Meaning]]:
    """The names, without those that differ in `-` and `_` only."""
    first: dict[str, tuple[str, Meaning]] = {}
    for name, meaning in meanings.items():
        first.setdefault(name.replace("_", "-"), (name, meaning))
    return first.values()

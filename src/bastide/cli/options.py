# SPDX-License-Identifier: Apache-2.0
"""Arguments and options that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import click
from click.core import ParameterSource

SEVERITIES = ("low", "medium", "high", "critical")
F = TypeVar("F", bound=Callable[..., Any])


class Day(click.ParamType):  # type: ignore[type-arg]  # generic in new versions of click only
    """A date, year-month-day."""

    name = "date"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> date:
        """The date, or a usage error."""
        if isinstance(value, date):
            return value
        try:
            return date.fromisoformat(value)
        except ValueError:
            self.fail(f"`{value[:40]}` is no date; write year-month-day, such as 2027-06-30", param, ctx)


def plan_argument(name: str = "plan", default: str | None = "bastide.yaml") -> Callable[[F], F]:
    """The plan's file; `bastide.yaml` in the working directory when it isn't named."""
    return click.argument(name, type=click.Path(path_type=Path), default=default, required=default is None)


def severity_option(flag: str, help: str, default: str | None = None) -> Callable[[F], F]:
    """An option that takes a severity."""
    return click.option(flag, type=click.Choice(SEVERITIES), default=default, show_default=bool(default), help=help)


_ENDINGS = (
    (".cdx.json", ("cyclonedx",)), (".spdx.json", ("spdx",)), (".vex.json", ("vex",)), (".sarif.json", ("sarif",)), (".sarif", ("sarif",)),
    (".json", ("json", "otlp")), (".jsonl", ("jsonl",)), (".yaml", ("plan",)), (".yml", ("plan",)), (".xml", ("junit",)), (".patch", ("patch",)),
    (".diff", ("patch",)), (".md", ("markdown",)), (".cedar", ("cedar",)),
)  # fmt: skip
"""What is meant by the end of a file's name, where a command writes that."""


def format_option(*formats: str, default: str | None = None) -> Callable[[F], F]:
    """`--format`; without it the name of the file that `-o` writes says it, else it is the default."""

    def meant(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
        # Options that were given come first: `-o` is known where this one has its default.
        output = ctx.params.get("output")
        if ctx.get_parameter_source(param.name or "") is not ParameterSource.DEFAULT or not isinstance(output, Path):
            return value
        name = output.name.lower()
        return next((f for end, meant in _ENDINGS if name.endswith(end) for f in meant if f in formats), value)

    return click.option(
        "--format", "-f", "format_", type=click.Choice(formats), default=default, show_default=bool(default), callback=meant,
        help="What to write; without it the suffix of -o says.",
    )  # fmt: skip


pack_option = click.option(
    "--pack", "packs", multiple=True, type=click.Path(path_type=Path), metavar="DIR",
    help="A folder with further knowledge (threats, controls, kinds); repeatable.",
)  # fmt: skip
today_option = click.option(
    "--today", type=Day(), metavar="DATE", help="The day on which acceptances expire or not; default: today."
)
quiet_option = click.option("--quiet", "-q", is_flag=True, help="Say nothing on stderr when all is well.")
output_option = click.option(
    "--output", "-o", type=click.Path(path_type=Path), metavar="FILE", help="Write here instead of printing."
)

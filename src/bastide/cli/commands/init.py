# SPDX-License-Identifier: Apache-2.0
"""`bastide init`."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import click

from bastide.cli import options
from bastide.cli.output import put, write_file
from bastide.errors import UsageError

_QUESTIONS = {
    "what": "What is it (chat, rag: chat over documents, agent, training: of a model)",
    "exposure": "Who can use it",
    "data_class": "Class of the most sensitive data in it",
    "cloud": "Where does it run",
    "hosting": "Who runs the model (training: who made the base model)",
    "tools": "What can the model have done with tools (none, read: look up, write: change something)",
}


@click.command()
@click.option("--system", metavar="ID", help="Id of the system, such as support-assistant; default: the folder's name.")
@click.option("--purpose", metavar="TEXT", help="One sentence on what it does, and for whom.")
@click.option("--what", help="chat, rag, agent or training.")
@click.option("--exposure", help="public, partners or internal.")
@click.option("--data-class", help="public, internal, confidential or restricted.")
@click.option("--cloud", help="aws, azure, gcp, kubernetes or none.")
@click.option("--hosting", help="provider or self-hosted.")
@click.option("--tools", help="none, read or write.")
@click.option(
    "--output", "-o", type=click.Path(path_type=Path), default="bastide.yaml", show_default=True, metavar="FILE",
    help="Where to write; `-` prints.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace a file that exists.")
@options.quiet_option
def init(output: Path, force: bool, quiet: bool, **given: str | None) -> None:
    """Write a commented first plan.

    Asks on a terminal for what the options don't say; elsewhere it takes defaults.

    \b
    Examples:
      bastide init
      bastide init --system support-assistant --what rag --cloud aws --exposure public
    """
    from bastide.plan.starter import Answers, starter

    stdout = output == Path("-")
    if not stdout and not force and (output.exists() or output.is_symlink()):
        raise UsageError(f"{output}: exists already; name another file with -o, or say --force")
    answers = {key: value for key, value in given.items() if value is not None}
    if all(stream is not None and stream.isatty() for stream in (sys.stdin, sys.stderr)):
        answers = _ask(answers)
    answers.setdefault("system", _folder_name())
    text = starter(Answers(**answers))
    if stdout:
        put(text, None)
        return
    write_file(output, text.encode("utf-8"))
    if not quiet:
        click.echo(f"wrote {output}\nNow change it until it is true, then: bastide assess {output}", err=True)


def _ask(given: dict[str, str]) -> dict[str, str]:
    """The answers, asking for those that are missing."""
    from bastide.plan.starter import CHOICES, Answers

    found = dict(given)
    if "system" not in found:
        found["system"] = click.prompt("Id of the system", default=_folder_name(), err=True)
    if "purpose" not in found:
        found["purpose"] = click.prompt(
            "What does it do, and for whom (one sentence)", default="", show_default=False, err=True
        )
    defaults = Answers(system="-")
    for key, question in _QUESTIONS.items():
        # A model that is being trained has no tools.
        if key not in found and not (key == "tools" and found.get("what") == "training"):
            kind = click.Choice(CHOICES[key])
            found[key] = click.prompt(question, type=kind, default=getattr(defaults, key), err=True)
    return found


def _folder_name() -> str:
    """The working directory's name as an id."""
    try:
        name = Path.cwd().name.lower()
    except OSError:
        name = ""
    return re.sub(r"[^a-z0-9]+", "-", name).strip("-")[:60] or "my-system"

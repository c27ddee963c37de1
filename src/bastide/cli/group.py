# SPDX-License-Identifier: Apache-2.0
"""Groups of commands that are imported when they are asked for, and the edge at which every error becomes a message."""

from __future__ import annotations

import contextlib
import io
import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any

import click

from bastide.cli.text import printable
from bastide.errors import BastideError

INTERRUPTED, BROKEN_PIPE = 130, 141
"""What a shell reports for a program that ended by SIGINT or SIGPIPE."""


class LazyGroup(click.Group):
    """A group that knows its commands as `name -> module:attribute` and imports one when it is needed."""

    def __init__(self, *args: Any, lazy: Mapping[str, str] | None = None, **options: Any) -> None:
        super().__init__(*args, **options)
        self._lazy = dict(lazy or {})

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """The names of all commands, in the order in which they are used."""
        return list(self._lazy)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of a name, or None."""
        target = self._lazy.get(cmd_name)
        if target is None:
            return None
        module, _, attribute = target.partition(":")
        command: click.Command = getattr(import_module(module), attribute)
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Finds the command; says what was probably meant when there is none."""
        if args and args[0] not in self._lazy and not args[0].startswith("-"):
            from bastide.errors import did_you_mean

            ctx.fail(f"there is no command `{args[0][:60]}`: {did_you_mean(args[0], self._lazy)}")
        return super().resolve_command(ctx, args)


class Edge(LazyGroup):
    """The outermost group: nothing but a message and an exit code leaves it."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, **extra: Any) -> Any:  # type: ignore[override]
        """Runs a command and ends the process with its exit code (0, 1, 2 or 3; see the help)."""
        try:
            if "_BASTIDE_COMPLETE" in os.environ:
                super().main(args, prog_name, **extra)
            # Not click's own main: it makes 1 of a broken pipe, and 1 means findings.
            with self.make_context(prog_name, list(sys.argv[1:] if args is None else args), **extra) as context:
                self.invoke(context)
            code = _flushed(0)
        except click.exceptions.Exit as end:
            code = _flushed(end.exit_code)
        except BrokenPipeError:
            # The reader went away. Python would complain again when it flushes at its end.
            _silence_stdout()
            code = BROKEN_PIPE
        except BaseException as problem:  # noqa: BLE001 - the process edge; what must pass is raised again
            code = _report(problem)
        sys.exit(code)


def _flushed(code: int) -> int:
    """The code, or that of the error which the last output meets."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except BrokenPipeError:
        _silence_stdout()
        return BROKEN_PIPE
    except OSError as problem:
        return _report(problem)
    return code


def _report(problem: BaseException) -> int:
    """Says what went wrong and gives the exit code; lets through what must end the process as it is."""
    if isinstance(problem, (click.exceptions.Abort, KeyboardInterrupt)):
        click.echo("aborted", err=True)
        return INTERRUPTED
    if isinstance(problem, click.ClickException):
        said = io.StringIO()
        problem.show(file=said)
        with contextlib.suppress(OSError, ValueError):
            click.echo(printable(said.getvalue()), err=True, nl=False)
        return 2
    if isinstance(problem, BastideError):
        return _say(str(problem), problem.exit_code)
    if not isinstance(problem, Exception):
        raise problem
    if isinstance(problem, OSError):
        return _say(f"{problem.filename or 'output'}: {problem.strerror or problem}", 2)
    if os.environ.get("BASTIDE_DEBUG"):
        raise problem
    what = f"{type(problem).__name__}: {str(problem)[:200]}"
    return _say(
        f"this is a defect in Bastide, not in your input ({what})\n"
        "  = run it again with BASTIDE_DEBUG=1 and report what it prints",
        2,
    )


def _say(message: str, code: int) -> int:
    # When nobody listens on stderr, the exit code still tells.
    with contextlib.suppress(OSError, ValueError):
        click.secho("error: ", err=True, nl=False, fg="red", bold=True)
        click.echo(printable(message), err=True)
    return code


def _silence_stdout() -> None:
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

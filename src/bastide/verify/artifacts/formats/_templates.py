# SPDX-License-Identifier: Apache-2.0
"""Judges a chat template: Jinja's parser reads it, and nothing ever renders or compiles it."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

from jinja2 import Environment, TemplateSyntaxError, nodes
from jinja2.ext import Extension
from jinja2.parser import Parser

from bastide.verify.artifacts.formats._template_access import Trouble, access
from bastide.verify.artifacts.formats._template_costs import costs
from bastide.verify.artifacts.formats._template_texts import texts
from bastide.verify.artifacts.formats._template_values import Definitions, TooMuch
from bastide.verify.artifacts.interface import Scan
from bastide.verify.artifacts.model import Finding

MAX_TEMPLATE = 512 * 1024
"""Bytes; the longest known one has 40,000."""
REPORTED = 5
"""Findings of one kind."""
_LINE = re.compile(r"\r\n|\r|\n")


class _Generation(Extension):
    """`{% generation %}`, by which transformers marks what the assistant said."""

    tags = {"generation"}  # noqa: RUF012 - so it is declared in Jinja

    def parse(self, parser: Parser) -> nodes.Node | list[nodes.Node]:
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return nodes.Scope(body, lineno=line)


@cache
def _environment() -> Environment:
    # The parser only: no template is loaded, compiled or rendered.
    return Environment(extensions=["jinja2.ext.loopcontrols", _Generation], autoescape=False)


def check_template(text: bytes | str, scan: Scan, start: int = 0) -> None:
    """Findings about one template. start: byte at which it begins in what `scan` reads."""
    data = text.encode("utf-8", "surrogatepass") if isinstance(text, str) else text
    if len(data) > MAX_TEMPLATE:
        scan.unread(f"a chat template of {len(data)} bytes; at most {MAX_TEMPLATE} are read", start)
        return
    try:
        source = data.decode("utf-8")
        tree = _environment().parse(source)
        known = Definitions(tree)
        troubles = [*access(tree, known), *texts(tree, known), *costs(tree, known)]
    except UnicodeDecodeError as problem:
        scan.malformed("chat-template/not-text", "a chat template that is no UTF-8", start + problem.start)
    except TemplateSyntaxError as problem:
        where = start + _offset(source, problem.lineno)
        scan.malformed(
            "chat-template/broken",
            f"Jinja can't read the chat template ({problem.message}), so it was not judged",
            where,
        )
    except (RecursionError, TooMuch):
        scan.unread("a chat template whose expressions or variables are nested too deep", start)
    except (ValueError, OverflowError) as problem:
        # A number or an escape that Python doesn't read.
        scan.malformed("chat-template/broken", f"Jinja can't read the chat template ({str(problem)[:100]})", start)
    else:
        scan.take(_findings(troubles, source, start))


def _findings(troubles: list[Trouble], source: str, start: int) -> list[Finding]:
    counts: dict[str, int] = {}
    made: dict[Any, Finding] = {}
    for trouble in sorted(troubles, key=lambda t: t.line):
        key = (trouble.id, trouble.line, trouble.evidence)
        if key in made:
            continue
        counts[trouble.id] = counts.get(trouble.id, 0) + 1
        if counts[trouble.id] > REPORTED:
            continue
        offset = start + _offset(source, trouble.line)
        message = f"the chat template {trouble.message} (line {trouble.line})"
        made[key] = Finding(trouble.id, trouble.tier, trouble.severity, message, offset, trouble.evidence)
    return list(made.values())


def _offset(source: str, line: int) -> int:
    """Byte at which a line begins."""
    at = 0
    for _ in range(line - 1):
        found = _LINE.search(source, at)
        if found is None:
            break
        at = found.end()
    return len(source[:at].encode("utf-8", "surrogatepass"))

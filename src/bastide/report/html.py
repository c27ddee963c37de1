# SPDX-License-Identifier: Apache-2.0
"""The report: one HTML file that needs no network, no server and, to be read, no script.

Everything from the plan is escaped by the template engine. A content security policy lets only the style and
the script of the report itself run, each by its hash, so that a name in a plan can't do anything even if
escaping failed.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bastide.catalog.model import Catalog
from bastide.discover.result import Weakness, by_expectation, failing
from bastide.plan.model import Plan
from bastide.report import svg, text, view
from bastide.report.shapes import symbols
from bastide.threats.model import Assessment

if TYPE_CHECKING:
    from jinja2 import Environment

_FOLDER = Path(__file__).parent
_CODE = re.compile(r"`([^`\n]{1,300})`")


def render_html(
    plan: Plan,
    assessment: Assessment,
    catalog: Catalog,
    *,
    changes: Any = None,
    generated: str,
    weaknesses: Sequence[Weakness] = (),
) -> str:
    """The whole report.

    changes: what differs from an earlier assessment (`opened`, `closed`, `changed`); None: no such section.
    generated: the date or moment to print in the header.
    weaknesses: settings that don't hold in the files that the plan was made from.
    """
    style, script = _static("report.css"), _static("report.js")
    return _environment().get_template("report.html.j2").render(
        v=view.View(plan, assessment, catalog),
        plan=plan,
        assessment=assessment,
        catalog=catalog,
        changes=changes,
        settings=by_expectation(failing(weaknesses)),
        generated=generated,
        picture=svg.draw(plan, catalog.vocabulary, assessment, standalone=False),
        style=svg.style() + style,
        script=script,
        policy=_policy(svg.style() + style, script),
    )  # fmt: skip


def _policy(style: str, script: str) -> str:
    """The content security policy of a page with exactly this style and script."""
    return (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _hash(block: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(block.encode("utf-8")).digest()).decode("ascii")


@lru_cache(maxsize=8)
def _static(name: str) -> str:
    return (_FOLDER / "static" / name).read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _environment() -> Environment:
    # Imported here: the other formats and `--help` don't need a template engine.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_printable,
    )
    environment.filters |= {"spans": _spans, "said": view.said, "ids": _ids}
    environment.globals |= {"arithmetic": view.arithmetic, "threshold": view.threshold, "symbols": symbols}
    return environment


def _printable(value: Any) -> Any:
    """What the plan says, without characters that a page can't hold or that turn the writing direction."""
    return text.clean(value) if type(value) is str else value


def _spans(words: str) -> Iterator[tuple[bool, str]]:
    """The pieces of a text, and whether each is a name in backquotes."""
    for n, piece in enumerate(_CODE.split(words)):
        if piece:
            yield n % 2 == 1, piece


def _ids(path: tuple[str, ...]) -> str:
    """Ids for an attribute that the script reads."""
    return json.dumps(path)

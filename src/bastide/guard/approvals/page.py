# SPDX-License-Identifier: Apache-2.0
"""The page on which people decide: plain HTML without a script, for a phone as for a desk.

Everything from a call is escaped by the template engine, and a content security policy lets nothing but the page's own style take effect,
so that an argument can't do anything even if escaping failed.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bastide.guard.approvals.book import Approval, State
from bastide.guard.approvals.visible import pieces, written

if TYPE_CHECKING:
    from jinja2 import Environment

_FOLDER = Path(__file__).parent / "templates"
HOME = "/guard/approvals"
"""Where the page is mounted."""


def headers() -> Mapping[str, str]:
    """What has to go with each page."""
    return {
        "content-type": "text/html; charset=utf-8",
        "content-security-policy": (
            f"default-src 'none'; style-src '{_hash(_style())}'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
        ),
        # For browsers that don't know `frame-ancestors`: a page in a frame could be clicked on unseen.
        "x-frame-options": "DENY",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-store",
    }


def render_list(approvals: Sequence[Approval], *, viewer: str, now: float) -> str:
    """The open requests. Parameters: `viewer`, who looks; `now`, Unix time."""
    return _render("list.html.j2", approvals=approvals, viewer=viewer, now=now, message="")


def render_one(approval: Approval, *, viewer: str, now: float, csrf: str, message: str = "") -> str:
    """One request with everything that will run; two buttons while it is open. `csrf` comes back in the form's field `csrf`; `message` says
    why what was asked for didn't happen."""
    return _render("one.html.j2", approval=approval, viewer=viewer, now=now, csrf=csrf, message=message)


def render_sign_in(message: str = "") -> str:
    """Asks for an API key (form field `key`, posted to `/guard/approvals/sign-in`)."""
    return _render("sign_in.html.j2", viewer="", message=message)


def _render(template: str, **values: Any) -> str:
    return _environment().get_template(template).render(style=_style(), home=HOME, State=State, **values)


def _hash(block: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(block.encode("utf-8")).digest()).decode("ascii")


@lru_cache(maxsize=1)
def _style() -> str:
    return (_FOLDER / "page.css").read_text(encoding="utf-8")


@lru_cache(maxsize=1)
def _environment() -> Environment:
    # Imported here: only who opens the page needs a template engine.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"pieces": pieces, "written": written, "left": _left, "moment": _moment}
    return environment


def _left(seconds: float) -> str:
    """`14 min`, `40 s`, `over`."""
    if seconds <= 0:
        return "over"
    if seconds < 120:
        return f"{int(seconds)} s"
    return f"{int(seconds // 60)} min" if seconds < 7200 else f"{int(seconds // 3600)} h"


def _moment(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")

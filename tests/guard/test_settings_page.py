# SPDX-License-Identifier: Apache-2.0
"""The page on the settings: what stands there loads, is complete, and says the real defaults."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from bastide.guard.settings import (
    Abuse,
    ApprovalSettings,
    Bounds,
    Content,
    Issuer,
    Loops,
    McpServer,
    Provider,
    Settings,
)
from bastide.guard.settings_file import parse_settings

PAGE = (Path(__file__).resolve().parents[2] / "docs/guard/settings.md").read_text(encoding="utf-8")
SMALL, WHOLE = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
READ = parse_settings(WHOLE, "settings.md", Path("/etc/bastide"))


def classes(value: Any) -> Iterator[Any]:
    """All dataclass objects in a value."""
    if dataclasses.is_dataclass(value) and type(value).__module__ == Settings.__module__:
        yield value
        for field in dataclasses.fields(value):
            yield from classes(getattr(value, field.name))
    elif isinstance(value, tuple):
        for one in value:
            yield from classes(one)


def test_the_small_one_loads() -> None:
    """It is what somebody copies first."""
    assert [model.names for model in parse_settings(SMALL).models] == [("gpt-4o",)]


def test_every_key_is_there() -> None:
    """A key that the page lacks is one that nobody finds."""
    own = {
        "location",
        "file",
        "host",
        "port",
        "keys",
        "issuers",
        "certificates",
        "component",
        "name",
        "field_trust",
        "command",
    }
    names = {f.name for one in {type(c) for c in classes(READ)} for f in dataclasses.fields(one)} - own
    assert [name for name in sorted(names) if not re.search(rf"\b{name.replace('_', '-')}:", WHOLE)] == []
    assert "fields:" in WHOLE


@pytest.mark.parametrize(
    ("read", "default", "given"),
    [
        (READ.bounds, Bounds(), ()),
        (READ.loops, Loops(), ()),
        (READ.abuse, Abuse(), ()),
        (READ.approvals, ApprovalSettings(), ("webhook", "webhook_key")),
        (READ.content, Content(), ("injection", "canaries", "output", "url_hosts", "topics_denied")),
        (READ.models[0].providers[0], Provider(""), ("url", "key", "headers")),
        (READ.mcp[0], McpServer(""), ("component", "url", "key", "pins", "client_requests", "location")),
        (READ, Settings(Path()), ("plan", "file", "keys", "issuers", "certificates", "models", "tools", "mcp", "content", "budgets",
            "redis", "approvals", "log", "policies", "location")),
    ],
)  # fmt: skip
def test_defaults_are_the_real_ones(read: Any, default: Any, given: tuple[str, ...]) -> None:
    """Except where the page says that there is none."""
    shown = {f.name: getattr(read, f.name) for f in dataclasses.fields(read) if f.name not in given}
    assert shown == {name: getattr(default, name) for name in shown}


def test_defaults_of_claims_and_thresholds() -> None:
    """Those of an issuer's tokens and of the scores."""
    issuer, default = READ.issuers[0], Issuer("", "", "")
    assert (issuer.agent_claim, issuer.user_claim, issuer.algorithms) == (
        default.agent_claim, default.user_claim, default.algorithms,
    )  # fmt: skip
    assert (READ.content.injection["user"].flag, READ.content.injection["user"].block) == (0.5, 0.9)

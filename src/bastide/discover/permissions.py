# SPDX-License-Identifier: Apache-2.0
"""Which actions of AWS have no narrower resource than all (`knowledge/permissions/aws.yaml`)."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import yaml

_FILE = Path(__file__).parents[1] / "knowledge" / "permissions" / "aws.yaml"


@cache
def unlimited() -> tuple[str, ...]:
    """Globs of actions for which `*` is no wide right."""
    document: Any = yaml.load(_FILE.read_text("utf-8"), yaml.CSafeLoader)
    return tuple(action for part in document.values() if isinstance(part, dict) for action in part["actions"])

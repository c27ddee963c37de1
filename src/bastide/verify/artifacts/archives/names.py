# SPDX-License-Identifier: Apache-2.0
"""Names of members that lead out of the folder into which an archive is unpacked."""

from __future__ import annotations


def escapes(name: str) -> str:
    """Why a path leads out of its folder; '' if it doesn't."""
    path = name.replace("\\", "/")
    if path.startswith("/"):
        return "its path is absolute"
    if len(path) > 1 and path[1] == ":" and path[0].isalpha():
        return "its path begins with a drive"
    depth = 0
    for part in path.split("/"):
        depth += -1 if part == ".." else 0 if part in ("", ".") else 1
        if depth < 0:
            return "its path goes up"
    return ""


def leads_out(name: str, target: str) -> bool:
    """Whether a link of this name with this target leads out of the folder."""
    if escapes(target) and not target.startswith(".."):
        return True
    folder = name.replace("\\", "/").rpartition("/")[0]
    return bool(escapes(f"{folder}/{target}" if folder else target))

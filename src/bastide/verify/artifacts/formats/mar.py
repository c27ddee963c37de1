# SPDX-License-Identifier: Apache-2.0
"""TorchServe's archives: the manifest names the handler that the server runs, which is Python code in the archive or one of the server's own."""

from __future__ import annotations

from typing import Any

from bastide.verify.artifacts.archives.documents import read_json
from bastide.verify.artifacts.archives.zip import Archive, Member
from bastide.verify.artifacts.formats._repository_rules import leads_out
from bastide.verify.artifacts.interface import Scan
from bastide.verify.artifacts.model import Severity, Tier

MANIFEST = "MAR-INF/MANIFEST.json"
OWN = frozenset({"image_classifier", "image_segmenter", "object_detector", "text_classifier", "base_handler"})
"""Handlers that the server brings along."""
PATHS = ("handler", "serializedFile", "modelFile", "requirementsFile", "configFile", "extraFiles")


def read_layout(archive: Archive, scan: Scan) -> tuple[str, set[Member]]:
    """`mar` when it has a manifest; its members are read by others."""
    manifests = [member for member in archive.members if member.name == MANIFEST]
    if not manifests:
        return "", set()
    for manifest in manifests:
        _manifest(archive, manifest, scan)
    return "mar", set()


def _manifest(archive: Archive, manifest: Member, scan: Scan) -> None:
    below = scan.below(MANIFEST)
    content = archive.content(manifest, below) if below is not None else None
    document: Any = read_json(content, below) if content is not None and below is not None else None
    model = document.get("model") if isinstance(document, dict) else None
    facts = model if isinstance(model, dict) else {}
    handler = str(facts.get("handler", ""))
    has_code = any(member.name.lower().endswith((".py", ".pyc", ".so", ".pyd")) for member in archive.members)
    if handler.partition(":")[0] in OWN and not has_code:
        scan.add(
            "mar/handler",
            Tier.POLICY,
            Severity.LOW,
            "is served by a handler of TorchServe itself",
            manifest.entry,
            handler,
        )
    else:
        scan.add(
            "mar/holds-code", Tier.POLICY, Severity.MEDIUM,
            "a TorchServe archive: the server runs the handler in it as Python code; read that before serving it", manifest.entry, handler[:200],
        )  # fmt: skip
    for key in PATHS:
        for path in str(facts.get(key, "")).split(","):
            if leads_out(path.strip()):
                scan.add(
                    "mar/path", Tier.EXECUTES, Severity.HIGH, "has the server read or run a file outside of the archive. Don't serve it",
                    manifest.entry, path.strip()[:200],
                )  # fmt: skip

# SPDX-License-Identifier: Apache-2.0
"""What is known of a model's files beside their names: digests, verdicts of a scan, and whether a signature is about them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from bastide.errors import Diagnostic, InputError, Location
from bastide.verify.artifacts.formats._json import NotJson, parse_json
from bastide.verify.artifacts.model import FileReport
from bastide.verify.bom.draft import Draft
from bastide.verify.bom.folder import Folder, shown
from bastide.verify.bom.model import Evidence, File, Origin
from bastide.verify.signing import strict
from bastide.verify.signing.bundle import read_bundle
from bastide.verify.signing.files import beside, own_documents
from bastide.verify.signing.manifest import from_statement
from bastide.verify.signing.model import Manifest
from bastide.verify.signing.statement import read_statement

LARGEST_REPORT = 256 << 20
_WORST = ("unsafe", "unknown", "safe")
_SIGNATURES = (".sig", ".att", ".sigstore", ".sigstore.json")


class Scanner(Protocol):
    """Scans files: one report for each, in their order."""

    def __call__(self, paths: list[Path]) -> Iterable[FileReport]:
        """The reports."""


@dataclass(frozen=True, slots=True)
class Verdicts:
    """A scan that was made earlier: what it says of contents."""

    by_digest: Mapping[str, tuple[str, str, tuple[str, ...]]]
    """SHA-256 -> (verdict, format, ids of findings)."""
    file: str
    sha256: str
    engine: str


def read_scan(path: Path) -> Verdicts:
    """The document of `bastide scan --format json`. Raises `InputError` when it isn't one."""
    place = Location(str(path))
    try:
        with path.open("rb") as stream:
            data = stream.read(LARGEST_REPORT + 1)
        parsed = parse_json(data, LARGEST_REPORT)
        if parsed.repeated:
            raise NotJson(f"has the key `{shown(parsed.repeated[0])[:60]}` twice in one object")
        document = parsed.value
    except (OSError, NotJson) as problem:
        raise InputError(Diagnostic(f"is no report of a scan: {str(problem)[:200]}", place)) from None
    files = document.get("files") if isinstance(document, dict) and document.get("schema_version") == 1 else None
    if not isinstance(files, list):
        raise InputError(
            Diagnostic("is no report of a scan", place, hint="bastide scan MODEL --format json -o scan.json")
        )
    found: dict[str, tuple[str, str, tuple[str, ...]]] = {}
    for one in files:
        if isinstance(one, dict) and re.fullmatch(r"[0-9a-f]{64}", str(one.get("sha256", ""))):
            # Of one content under two names the worse is true; a later entry must not hide it.
            seen = found.get(one["sha256"])
            found[one["sha256"]] = min(filter(None, (seen, _verdict(one))), key=lambda said: _WORST.index(said[0]))
    return Verdicts(
        found, shown(str(path)), hashlib.sha256(data).hexdigest(), shown(str(document.get("engine", "")))[:100]
    )


def _verdict(one: dict[str, Any]) -> tuple[str, str, tuple[str, ...]]:
    said = one.get("verdict")
    findings = one.get("findings")
    ids = [str(f.get("id", ""))[:100] for f in findings if isinstance(f, dict)] if isinstance(findings, list) else []
    verdict = said if said in ("safe", "unsafe", "unknown") else "unknown"
    return verdict, shown(str(one.get("format", "")))[:100], tuple(dict.fromkeys(ids))


def read_files(draft: Draft, scan: Verdicts | Scanner | None) -> tuple[File, ...]:
    """Every file with its digest and verdict; says so as evidence."""
    folder = draft.folder
    if scan is None:
        return tuple(_hashed(folder, None))
    if isinstance(scan, Verdicts):
        files = tuple(_hashed(folder, scan))
        origin, engine, digest = Origin(scan.file), scan.engine, scan.sha256
    else:
        files = tuple(_scanned(folder, scan))
        origin, engine, digest = Origin("bastide scan"), "", ""
    draft.evidence.append(Evidence("scan", scan_state(files), origin, engine, digest))
    return files


def scan_state(files: Iterable[File]) -> str:
    """The worst verdict: unsafe, then unknown (a file that wasn't scanned is unknown), then safe."""
    verdicts = {one.verdict for one in files}
    if "unsafe" in verdicts:
        return "unsafe"
    return "safe" if verdicts == {"safe"} else "unknown"


def _hashed(folder: Folder, scan: Verdicts | None) -> Iterator[File]:
    left = folder.limits.hashed
    for name, size in folder.sizes.items():
        left -= size
        if left < 0:
            folder.unread.append(f"{shown(name)}: was not hashed, like those after it: too many bytes in all")
            return
        digest = folder.hash(name)
        verdict, format_, ids = scan.by_digest.get(digest, ("", "", ())) if scan else ("", "", ())
        yield File(shown(name), size, digest, format_, verdict, ids)


def _scanned(folder: Folder, scan: Scanner) -> Iterator[File]:
    names = list(folder.sizes)
    for name, report in zip(names, scan([folder.path(name) for name in names]), strict=True):
        # A scan that was ended by a bound has no digest; the file has one all the same.
        digest = report.sha256 or folder.hash(name)
        ids = tuple(dict.fromkeys(f.id for f in report.findings))
        yield File(shown(name), folder.sizes[name], digest, report.format, report.verdict.value, ids)


def digest_of(files: Iterable[File], folder: Folder) -> str:
    """Of one file its own digest; of a folder that of all but its signatures, as model signing makes it. '' when one is missing."""
    single = folder.single
    own = () if single else own_documents(folder.root)
    found = [one for one in files if one.path not in own]
    if not found or not all(one.sha256 for one in found):
        return ""
    if single:
        return found[0].sha256
    return hashlib.sha256(
        b"".join(bytes.fromhex(one.sha256) for one in sorted(found, key=lambda f: f.path))
    ).hexdigest()


def read_signatures(draft: Draft, files: tuple[File, ...]) -> None:
    """Signatures in or beside the model: whether they are about these files. Who signed is for `bastide verify` to say."""
    folder = draft.folder
    inside = [folder.path(name) for name in folder.sizes if name.endswith(_SIGNATURES)]
    try:
        paths = list(dict.fromkeys([*inside, *beside(folder.root)]))[:20]
    except OSError:
        paths = inside[:20]
    for path in paths:
        try:
            with path.open("rb") as stream:
                data = stream.read(32 << 20)
            manifest = from_statement(read_statement(read_bundle(data).payload))
        except (OSError, strict.Wrong):
            continue
        state, detail = _compared(manifest, {one.path: one.sha256 for one in files}, folder.single)
        draft.evidence.append(
            Evidence("signature", state, Origin(_beside(path, folder)), detail, hashlib.sha256(data).hexdigest())
        )


def _beside(path: Path, folder: Folder) -> str:
    return shown(
        path.relative_to(folder.root).as_posix()
        if path.is_relative_to(folder.root) and not folder.single
        else path.name
    )


def _compared(manifest: Manifest, have: Mapping[str, str], single: bool) -> tuple[str, str]:
    if manifest.algorithm != "sha256" or manifest.shard_size:
        return "present", "made in a way that isn't compared here: bastide verify"
    signed = {one.name: one.digest for one in manifest.resources}
    if single and len(signed) == 1:
        return (
            ("matches", "")
            if list(signed.values()) == list(have.values())
            else ("differs", "another content was signed")
        )
    changed = [name for name, digest in signed.items() if have.get(name) != digest]
    unsigned = [n for n in have if n not in signed and not n.endswith(_SIGNATURES)]
    if changed:
        return "differs", f"{len(changed)} signed files are changed or gone: {', '.join(map(shown, changed[:3]))}"
    if unsigned:
        return "partial", f"{len(unsigned)} files are not under it: {', '.join(unsigned[:3])}"
    return "matches", "the files are those that were signed; who signed is for `bastide verify` to say"

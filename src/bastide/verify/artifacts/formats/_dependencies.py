# SPDX-License-Identifier: Apache-2.0
"""What a model has installed before it is loaded: requirements as pip and conda read them (PEP 508, pip's format of requirement files)."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from bastide.verify.artifacts.formats._packages import canonical, meant, packages
from bastide.verify.artifacts.formats._repository_rules import leads_out
from bastide.verify.artifacts.interface import Scan
from bastide.verify.artifacts.model import Severity, Tier

REPORTED = 20
_NAME = re.compile(r"([A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?)\s*(?:\[[^\]]*\])?\s*(.*)\Z", re.DOTALL)
_EXACT = re.compile(r"===?\s*[^\s,*;]+\s*(?:;.*)?\Z", re.DOTALL)
_ADDRESS = re.compile(r"(?:git|hg|svn|bzr)\+\S+|[a-z][a-z0-9+.-]*://\S+", re.IGNORECASE)
_COMMIT = re.compile(r"@[0-9a-fA-F]{40}(?:[#?]|\Z)")
_DIGEST = re.compile(r"[#&]sha(?:256|384|512)=[0-9a-fA-F]{64,}")
_OPTION = re.compile(r"(--?[A-Za-z][A-Za-z-]*)[ \t=]*(.*)\Z", re.DOTALL)
_SHORT = re.compile(r"-([ifrce])[ \t]*(\S.*)\Z", re.DOTALL)
_LONG = {"i": "--index-url", "f": "--find-links", "r": "--requirement", "c": "--constraint", "e": "--editable"}
INDEXES = frozenset({"--index-url", "--extra-index-url", "--find-links", "--pypi-url"})
FILES = frozenset({"--requirement", "--constraint"})
BUILDS = frozenset({"--install-option", "--global-option", "--config-settings", "--config-setting", "--build-option"})


@dataclass(slots=True)
class Dependencies:
    """Judges the requirements of one file."""

    scan: Scan
    total: int = 0
    loose: list[tuple[str, int]] = field(default_factory=list)
    """Names without an exact version, and where they stand."""
    _counts: Counter[str] = field(default_factory=Counter)

    def line(self, text: str, at: int) -> None:
        """A line of a requirement file, or an item of a list of them."""
        text = text.strip()
        if text.startswith("-"):
            for option in re.split(r"\s+(?=--?[a-z])", text):
                self._option(option, at + text.find(option))
        elif text:
            self.requirement(text, at)

    def requirement(self, text: str, at: int, *, pinned: bool | None = None) -> None:
        """One requirement, with options behind it. pinned: whether its version is exact, where the text can't tell."""
        for option in re.findall(r"\s(--[a-z-]+)", text):
            self._builds(option, at, text)
        bare = re.split(r"\s--", text, maxsplit=1)[0].strip()
        if address := _ADDRESS.search(bare):
            self.address(address.group(), at)
            before = bare[: address.start()].rstrip()
            if before.endswith("@"):
                self.name(before[:-1].partition("[")[0].strip(), "", at)
            return
        found = _NAME.match(bare)
        if bare.startswith((".", "/", "~", "\\")) or bare.endswith((".whl", ".tar.gz", ".zip")):
            self._local(bare, at)
        elif found is None:
            self.add("broken", Tier.MALFORMED, Severity.MEDIUM, "is no requirement that pip reads", at, bare)
        else:
            self.total += 1
            exact = bool(_EXACT.match(found[2])) or "--hash" in text
            if not (exact if pinned is None else pinned):
                self.loose.append((found[1], at))
            version = found[2].partition(";")[0].strip().lstrip("=").strip() if exact else ""
            self.name(found[1], version, at)

    def name(self, name: str, version: str, at: int) -> None:
        """The name of a package: whether it is known to be harmful, or almost another one's."""
        plain = canonical(name)
        known = packages().malicious
        if why := known.get(plain) or known.get(f"{plain}=={version}"):
            self.add(
                "malicious", Tier.EXECUTES, Severity.HIGH, f"has a package installed that was malicious: {why}. Don't install it",
                at, f"{name} {version}".strip(),
            )  # fmt: skip
        elif other := meant(plain):
            self.add(
                "look-alike", Tier.POLICY, Severity.MEDIUM, f"names a package that is almost called `{other}`: who registered that name runs code",
                at, name,
            )  # fmt: skip

    def address(self, url: str, at: int) -> None:
        """A package by its address."""
        if self._plain(url, at):
            return
        if re.match(r"(git|hg|svn|bzr)\+", url, re.IGNORECASE):
            if not _COMMIT.search(url):
                self.add(
                    "moving-code", Tier.POLICY, Severity.MEDIUM, "takes a package from a repository without a commit: it can change at any time",
                    at, url,
                )  # fmt: skip
        elif url.lower().startswith("file:"):
            self._local(url, at)
        elif not _DIGEST.search(url) and not trusted(url):
            self.add(
                "address",
                Tier.POLICY,
                Severity.MEDIUM,
                "takes a package from an address without a digest: what is there can change at any time",
                at,
                url,
            )

    def index(self, url: str, at: int) -> None:
        """An index, a channel, or a page of links."""
        if self._plain(url, at) or trusted(url) or "://" not in url:
            return
        self.add(
            "other-index", Tier.POLICY, Severity.MEDIUM,
            "takes packages from another index: it can answer for every name that isn't found elsewhere, or has a higher version", at, url,
        )  # fmt: skip

    def close(self) -> None:
        """One note on versions for the whole file."""
        if self.loose:
            names = ", ".join(name for name, _ in self.loose[:5]) + (", ..." if len(self.loose) > 5 else "")
            self.add(
                "unpinned", Tier.POLICY, Severity.LOW,
                f"{len(self.loose)} of {self.total} requirements name no exact version, so that what is installed changes", self.loose[0][1], names,
            )  # fmt: skip

    def add(self, id: str, tier: Tier, severity: Severity, message: str, at: int, evidence: str) -> None:
        """A finding; of one kind at most 20."""
        self._counts[id] += 1
        if self._counts[id] <= REPORTED:
            self.scan.add(f"requirements/{id}", tier, severity, message, at, _without_secret(evidence)[:200])

    def _option(self, text: str, at: int) -> None:
        found = _SHORT.match(text) or _OPTION.match(text)
        if found is None:
            self.add("broken", Tier.MALFORMED, Severity.MEDIUM, "is no option that pip reads", at, text)
            return
        option, value = _LONG.get(found[1], found[1]), found[2].strip().strip("\"'")
        if option in INDEXES:
            self.index(value, at)
        elif option == "--trusted-host":
            self.add(
                "trusted-host", Tier.POLICY, Severity.MEDIUM, "has pip accept a host without its certificate", at, text
            )
        elif option in FILES:
            self._file(value, at)
        elif option == "--editable":
            self.requirement(value, at)
        else:
            self._builds(option, at, text)

    def _file(self, value: str, at: int) -> None:
        if "://" in value and not value.lower().startswith("file:"):
            self.add(
                "address",
                Tier.POLICY,
                Severity.MEDIUM,
                "takes further requirements from an address: they can change at any time",
                at,
                value,
            )
        elif leads_out(value):
            self.add(
                "outside",
                Tier.POLICY,
                Severity.LOW,
                "takes further requirements from a file outside of the folder",
                at,
                value,
            )

    def _builds(self, option: str, at: int, text: str) -> None:
        if option in BUILDS:
            self.add(
                "build-options",
                Tier.POLICY,
                Severity.MEDIUM,
                "gives options to the program that builds a package",
                at,
                text,
            )

    def _local(self, text: str, at: int) -> None:
        if leads_out(text):
            self.add(
                "outside", Tier.POLICY, Severity.LOW, "takes a package from a path outside of the folder", at, text
            )
        else:
            self.add(
                "local-code",
                Tier.POLICY,
                Severity.LOW,
                "takes a package from the folder itself; installing it runs that code",
                at,
                text,
            )

    def _plain(self, url: str, at: int) -> bool:
        """Whether an address can be changed on the way, which has been reported then."""
        scheme = url.partition("://")[0].lower().rpartition("+")[2]
        if scheme not in ("http", "git", "ftp") or _host(url) in ("localhost", "127.0.0.1", "[::1]"):
            return False
        self.add(
            "insecure",
            Tier.POLICY,
            Severity.MEDIUM,
            "fetches packages over a connection that anybody on the way can change",
            at,
            url,
        )
        return True


def _host(url: str) -> str:
    try:
        return (urlsplit(url).hostname or "").lower()
    except ValueError:
        return ""


def trusted(url: str) -> bool:
    """Whether it is encrypted, and of a host that the makers of well-known packages run."""
    host = _host(url)
    return url.lower().startswith("https://") and (host in packages().hosts or host == "")


def _without_secret(text: str) -> str:
    """An address without the password in it."""
    return re.sub(r"://[^/@\s]*:[^/@\s]*@", "://...@", text)

# SPDX-License-Identifier: Apache-2.0
"""PMML: models as XML. It has no code, but XML can have files read, and some loaders take the name of a function for that of a class.

Entities are never expanded here: their declaration is what is reported, and reading stops behind it.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import Any
from xml.parsers import expat

from bastide.verify.artifacts.interface import Scan, Source
from bastide.verify.artifacts.model import Severity, Tier

MAX_BYTES = 1 << 30
MAX_DEPTH = 1000
CHUNK = 1 << 20
REPORTED = 20
SCRIPTS = frozenset({"script", "applet", "object", "embed", "iframe", "stylesheet"})
"""Elements of other languages at which their readers run code."""
BACK = 1 << 16
INCLUDE = "http://www.w3.org/2001/XInclude"
_CODE = re.compile(
    r"<\s*script|javascript:|\bRuntime\b[^;]{0,40}\bexec|ProcessBuilder|\bos\.(?:system|popen)\b|\bsubprocess\b|\b__import__\b|\beval\s*\(|\bexec\s*\(|/bin/(?:ba)?sh\b|cmd\.exe|powershell",
    re.IGNORECASE,
)
_CLASS = re.compile(r"(?:[A-Za-z_]\w*\.)+[A-Za-z_]\w*\Z")
"""A name by which JPMML looks for a class of Java."""
_MARKS = tuple(mark.encode(code) for mark in ("<PMML", ":PMML") for code in ("utf-8", "utf-16-le", "utf-16-be"))


class _Stop(Exception):
    """Enough was seen."""


class PmmlReader:
    """Reads PMML."""

    format = "pmml"

    def claims(self, source: Source) -> bool:
        """By the extension, or the root of an XML document."""
        if source.extension == "pmml":
            return True
        if source.head(64).lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n\0")[:1] != b"<":
            return False
        head = source.head(4096)
        return any(mark in head for mark in _MARKS)

    def read(self, source: Source, scan: Scan) -> None:
        """What XML would fetch, and what names code."""
        if source.size > MAX_BYTES:
            scan.unread(f"more than {MAX_BYTES} bytes of XML")
            return
        document = _Document(source, scan)
        try:
            for at in range(0, source.size, CHUNK):
                document.parser.Parse(bytes(source.data[at : at + CHUNK]), at + CHUNK >= source.size)
        except expat.ExpatError as problem:
            scan.malformed(
                "pmml/broken", f"is no XML: {expat.ErrorString(problem.code)}", document.parser.ErrorByteIndex
            )
        except (LookupError, ValueError):
            # An encoding that Python doesn't know, or one of several bytes.
            scan.malformed("pmml/broken", "is in an encoding that isn't read here", document.parser.CurrentByteIndex)
        except _Stop:
            pass


class _Document:
    """Hears what expat tells of a document."""

    def __init__(self, source: Source, scan: Scan) -> None:
        self._source, self._scan = source, scan
        self._counts: Counter[str] = Counter()
        self._depth = 0
        self._within = 0
        """Depth of the outermost `Extension` that is open."""
        self.parser: Any = expat.ParserCreate()
        self.parser.SetParamEntityParsing(expat.XML_PARAM_ENTITY_PARSING_NEVER)
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.EndDoctypeDeclHandler = self._end_of_doctype
        self.parser.EntityDeclHandler = self._entity
        self.parser.ProcessingInstructionHandler = self._instruction
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text
        self._entities = False

    def _add(self, id: str, severity: Severity, message: str, evidence: str, tier: Tier = Tier.POLICY) -> None:
        self._counts[id] += 1
        if self._counts[id] <= REPORTED:
            self._scan.add(f"pmml/{id}", tier, severity, message, self._place(id), evidence[:200])

    def _place(self, id: str) -> int:
        """Where it begins; of declarations expat tells the end."""
        at: int = self.parser.CurrentByteIndex
        if id not in ("entity", "external-entity", "doctype"):
            return at
        start = max(0, at - BACK)
        before = bytes(self._source.data[start : at + 1])
        found = max(before.rfind(b"<!ENTITY"), before.rfind(b"<!DOCTYPE"))
        return start + found if found >= 0 else at

    def _doctype(self, name: str, system: str | None, public: str | None, _inside: int) -> None:
        if system and re.match(r"https?://(?:www\.)?dmg\.org/", system) and not public:
            self._add("doctype", Severity.LOW, "names the document type of old versions of PMML", system)
        elif system or public:
            self._external("has the loader fetch its document type", system or public or "")
        else:
            self._add("doctype", Severity.LOW, "declares a document type, which PMML doesn't need", name)

    def _end_of_doctype(self) -> None:
        if self._entities:
            # Attributes would be expanded from here on.
            raise _Stop

    def _entity(self, name: str, parameter: int, value: str | None, *where: str | None) -> None:
        self._entities = True
        _base, system, public, _notation = where
        if value is None:
            self._external(f"has the loader fetch the entity `{name[:80]}`", system or public or "")
        else:
            self._add(
                "entity", Severity.MEDIUM, "declares an entity, with which a short text becomes an endless one; what follows was not read",
                f"{'%' if parameter else ''}{name} = {value[:80]}", Tier.MALFORMED,
            )  # fmt: skip

    def _external(self, what: str, address: str) -> None:
        self._add(
            "external-entity", Severity.HIGH, f"{what} from a file or an address. Don't load it", address, Tier.EXECUTES
        )

    def _instruction(self, target: str, data: str) -> None:
        if target.lower().startswith(("xml-stylesheet", "php")):
            self._add(
                "instruction",
                Severity.MEDIUM,
                "names a style sheet or code, which some readers of XML run",
                f"{target} {data}",
            )

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        prefix, _, local = name.rpartition(":")
        if not self._depth and local != "PMML":
            self._add("broken", Severity.MEDIUM, "has another root than PMML: loaders refuse it", name, Tier.MALFORMED)
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._add("broken", Severity.MEDIUM, "is nested deeper than is read here", name, Tier.MALFORMED)
            raise _Stop
        if local == "Extension" and not self._within:
            self._within = self._depth
        if INCLUDE in attributes.values() or (local == "include" and prefix and "href" in attributes):
            self._add(
                "include",
                Severity.HIGH,
                "has readers that know XInclude read another file. Don't load it",
                attributes.get("href", name),
                Tier.EXECUTES,
            )
        if local.lower() in SCRIPTS:
            self._add("code", Severity.MEDIUM, "has an element for code in it: no model needs that", name)
        if local == "Apply":
            self._function(attributes.get("function", ""))
        for value in attributes.values():
            self._code(value)

    def _function(self, name: str) -> None:
        if _CLASS.match(name):
            self._add(
                "function",
                Severity.MEDIUM,
                "calls a function by the name of a class, which JPMML looks for in the program that loads it",
                name,
            )

    def _code(self, text: str) -> None:
        if found := _CODE.search(text):
            where = "an extension" if self._within else "it"
            self._add(
                "code", Severity.MEDIUM, f"{where} has what looks like code in it: no model needs that", found.group()
            )

    def _text(self, text: str) -> None:
        if len(text) > 3:
            self._code(text)

    def _end(self, _name: str) -> None:
        if self._within == self._depth:
            self._within = 0
        self._depth -= 1

# SPDX-License-Identifier: Apache-2.0
"""Links and images in what a model writes: the usual way out for data when no tool is left (an image is fetched without a click).

Pure functions on a piece of text. A stream's scanner hands over windows; `settled` says how much of one can be judged already, because no
link can still be open there. A URL is harmless when trusted text has it, or its host is allowed and nothing in it looks like carried data.
Everything else is taken out: images are replaced by a note, links keep their text, bare addresses are made inert (`https[:]//`).

OWASP LLM05 (improper output handling), ATLAS AML.T0077 (LLM response rendering).
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from html import unescape
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

import re2  # type: ignore[import-untyped]

from bastide.guard.flow.words import fold
from bastide.recognise.model import Detection, Span

MAX_FOUND, MAX_URL = 1000, 4000
_TARGET = r"\(\s*<?(?P<url>[^\s()<>]+(?:\([^\s()<>]*\)[^\s()<>]*)?)>?(?:\s+(?:\"[^\"]*\"|'[^']*'))?\s*\)"
# RE2: time linear in the text, whatever it is. An image comes before the link that it contains.
_PATTERNS: tuple[tuple[str, Any], ...] = tuple(
    (kind, re2.compile(pattern))
    for kind, pattern in (
        ("markdown-image", r"!\[(?P<text>[^\[\]]*)\]" + _TARGET),
        ("markdown-link", r"\[(?P<text>[^\[\]]*)\]" + _TARGET),
        ("reference", r"(?m)^ {0,3}\[(?P<text>[^\[\]]+)\]:[ \t]*<?(?P<url>[^\s<>]+)>?"),
        (
            "html",
            r"(?i)<(?P<tag>[a-z][a-z0-9]*)\b[^<>]*?\b(?:src|href|srcset|data|action|background|poster|xlink:href|formaction)\s*=\s*"
            r"[\"']?(?P<url>[^\s\"'<>]+)[^<>]*>",
        ),
        # What a reader of Markdown or HTML follows though its surroundings are odd: nested brackets, other titles, `>` in an attribute.
        ("target", r"\]\(\s*<?(?P<url>[^\s()<>]+)"),
        ("definition", r"\]:[ \t]*\n?[ \t>]*<?(?P<url>(?:[A-Za-z]+:|&[#\w]+;|[\\/]{2})[^\s<>]*)"),
        (
            "attribute",
            r"(?i)\b(?:src|href|srcset|data|action|background|poster|formaction)\s*=\s*[\"']?(?P<url>[^\s\"'<>]+)",
        ),
        ("css", r"(?i)url\(\s*[\"']?(?P<url>[^\s\"'()<>]+)[\"']?\s*\)"),
        ("autolink", r"(?i)<(?P<url>(?:https?|ftp):[^\s<>]+)>"),
        ("bare-url", r"(?i)(?P<url>(?:\b(?:https?|ftp|wss?):/{1,3}|\bwww\.)[^\s<>\"'`\]}|]+)"),
    )
)
# Each pattern needs one of these; most texts have none, and this is a tenth of the work.
_MAYBE = re.compile(r"\]\(|\]:|<|=|:/|www\.|url\(", re.IGNORECASE)
_LOADS = frozenset({"markdown-image", "css", "target", "definition", "attribute"})
_ODD = {"target": "](#", "definition": "]\\: [link removed]", "attribute": 'removed=""'}
_LOADING_TAGS = frozenset(
    [
        "img",
        "iframe",
        "script",
        "link",
        "embed",
        "object",
        "video",
        "audio",
        "source",
        "image",
        "input",
        "frame",
        "form",
        "body",
        "table",
        "td",
    ]
)
_OPEN = re2.compile(
    r"(?i)!?\[[^\]\n]*$|\]\([^)\n]*$|\]:[ \t]*\n?[^\n]*$|\]$|!$|<(?:[a-z!/][^>]*)?$"
    r"|(?:https?:|ftp:|wss?:|www\.|url\()\S*$|\b(?:h|ht|htt|https?|f|ft|ftp|w|ww|www|u|ur|url)$"
)


class Link(NamedTuple):
    """A place in a text that leads somewhere."""

    kind: str
    url: str
    span: Span
    text: str
    loads: bool
    """Whether showing the text is enough for the address to be fetched."""


def links(text: str) -> Iterator[Link]:
    """Every link, image and address, in the order of their kinds; no two overlap, at most `MAX_FOUND`."""
    if _MAYBE.search(text) is None:
        return
    if not text.isascii():
        # RE2 reads UTF-8, in which there are no lone surrogates; one character stays one character.
        text = text.encode("utf-8", "replace").decode()
    taken: list[Span] = []
    for kind, pattern in _PATTERNS:
        for match in pattern.finditer(text):
            span = Span(*match.span())
            if len(taken) >= MAX_FOUND:
                return
            if any(s.start < span.end and span.start < s.end for s in taken):
                continue
            taken.append(span)
            found = match.groupdict()
            url = unescape(found["url"])
            if kind == "bare-url":
                url = url.rstrip(".,;:!?)*_")
                span = Span(span.start, span.start + len(found["url"].rstrip(".,;:!?)*_")))
            loads = kind in _LOADS or (found.get("tag") or "").lower() in _LOADING_TAGS
            yield Link(kind, url, span, found.get("text") or "", loads)


def scan_links(
    text: str, trusted: Callable[[str], bool] = lambda _: False, hosts: Collection[str] = ()
) -> tuple[tuple[Detection, ...], str]:
    """Detections, and the text with every untrusted link made inert.

    trusted: whether trusted text has this very URL (`Session.says`). hosts: allowed hosts, subdomains included; an address there is refused
    only when data seem to be carried in it.
    """
    found: list[Detection] = []
    edits: list[tuple[Span, str]] = []
    for count, link in enumerate(links(text), 1):
        if count >= MAX_FOUND:
            return (*found, Detection("exfiltration/too-many", 1.0, (), f"more than {MAX_FOUND} links")), ""
        if (problem := judge(link, trusted, hosts)) is not None:
            found.append(problem)
            edits.append((link.span, neutral(link)))
    return tuple(sorted(found, key=lambda d: d.spans[0].start)), _edited(text, edits)


def judge(link: Link, trusted: Callable[[str], bool], hosts: Collection[str]) -> Detection | None:
    """What is wrong with a link, or None."""
    target = _split(link.url)
    if target is None:
        return _detection(link, 0.9, "an address that can't be read")
    scheme, host, rest = target
    if scheme in ("javascript", "vbscript", "data", "file", "blob"):
        return _detection(link, 1.0, f"a `{scheme}:` address")
    if not host:
        return None
    if trusted(link.url):
        return None
    carried = carries(host, rest)
    if _allowed(host, hosts):
        return _detection(link, 0.7, f"data in an address at {host}") if carried and link.loads else None
    why = f"{'an image or frame' if link.loads else 'a link'} to {host[:80]}, which no trusted text names"
    return _detection(link, 0.95 if link.loads or carried else 0.6, f"{why}{', with data in it' if carried else ''}")


def _detection(link: Link, score: float, why: str) -> Detection:
    return Detection(f"exfiltration/{link.kind}", score, (link.span,), why)


def _split(url: str) -> tuple[str, str, str] | None:
    """Scheme, host, and all that could carry data; None when it isn't a URL that a reader would follow as it looks."""
    plain = fold(url.strip()).replace("\\", "/")
    plain = re.sub(r"[\t\r\n]", "", plain)
    if plain.startswith("www."):
        plain = f"https://{plain}"
    plain = re.sub(r"^(https?|ftp|wss?):/{0,3}(?=[^/])", r"\1://", plain)
    try:
        parts = urlsplit(plain)
        host = (parts.hostname or "").rstrip(".")
    except ValueError:
        return None
    if not host and "://" in parts.path:
        # An address with something in front of it: programs differ in where they see its beginning.
        return None
    return parts.scheme, host, f"{parts.path}?{parts.query}#{parts.fragment}"


def carries(host: str, rest: str) -> bool:
    """Whether data may be carried in the query, the path or the labels of the host: long, random-looking or encoded parts."""
    path, _, query = rest.partition("?")
    query, _, fragment = query.partition("#")
    values = [v for _, v in parse_qsl(query, keep_blank_values=True)] or [query]
    if any(len(v) >= 8 for v in values) or len(fragment) > 60:
        return True
    pieces = [*unquote(path).split("/"), *host.split(".")[:-2]]
    return any(len(p) > 48 or (len(p) >= 20 and _entropy(p) > 3.8) for p in pieces)


def _entropy(text: str) -> float:
    """Bits a character."""
    n = len(text)
    return -sum(c / n * math.log2(c / n) for c in Counter(text).values())


def _allowed(host: str, hosts: Iterable[str]) -> bool:
    return any(host == h or host.endswith(f".{h}") for h in (fold(x).strip(".").removeprefix("*.") for x in hosts) if h)


def hosts_in(texts: Iterable[str]) -> frozenset[str]:
    """The hosts of all addresses in some texts."""
    found = (_split(link.url) for text in texts for link in links(text))
    return frozenset(target[1] for target in found if target and target[1])


def neutral(link: Link) -> str:
    """What stands in the place of a link."""
    if link.kind == "markdown-image":
        return f"[image removed{': ' + link.text if link.text else ''}]"
    if link.kind == "markdown-link":
        return f"{link.text} [link removed]" if link.text else "[link removed]"
    if link.kind == "reference":
        return f"[{link.text}]\\: [link removed]"
    if link.kind == "html":
        return "[element removed]"
    if link.kind == "css":
        return "none"
    if link.kind in _ODD:
        return _ODD[link.kind]
    return inert(link.url)


def inert(url: str) -> str:
    """An address that a person can read and no program follows."""
    shown = url[:MAX_URL].replace("://", "[:]//", 1)
    host_end = shown.find("/", shown.find("//") + 2) if "//" in shown else shown.find("/")
    head, tail = (shown, "") if host_end < 0 else (shown[:host_end], shown[host_end:])
    return head.replace(".", "[.]") + tail.partition("?")[0]


def _edited(text: str, edits: list[tuple[Span, str]]) -> str:
    for span, new in sorted(edits, key=lambda e: e[0].start, reverse=True):
        text = text[: span.start] + new + text[span.end :]
    return text


def settled(text: str) -> int:
    """How many characters of a stream's window can be judged now: up to the last link that may still be going on."""
    at = _OPEN.search(text)
    return len(text) if at is None else at.start()

# SPDX-License-Identifier: Apache-2.0
"""Jupyter notebooks. Nothing runs when one is opened: code does when a person runs it, scripts in outputs when it is trusted or made a page.

Layout after nbformat 4 and 3 (https://nbformat.readthedocs.io).
"""

from __future__ import annotations

import html
import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

from bastide.verify.artifacts.formats._json import NotJson, parse_json, walk
from bastide.verify.artifacts.formats._notebook_code import Code, Line
from bastide.verify.artifacts.interface import Scan, Source
from bastide.verify.artifacts.model import Severity, Tier

REPORTED = 20
_ACTIVE = re.compile(
    r"<\s*script|\bon(?:error|load|click|mouseover|focus|toggle|begin|animation[a-z]*)\s*=|javascript\s*:|<\s*(?:object|embed|base|form)\b|<\s*meta[^>]{0,200}http-equiv",
    re.IGNORECASE,
)
_KERNEL = re.compile(
    r"kernel\s*\.\s*(?:execute|requestExecute)|requestExecute\s*\(|api/(?:terminals|contents|kernels|sessions)"
    r"|document\s*\.\s*cookie|NotebookActions|commands\s*\.\s*execute\s*\("
    r"|\b(?:eval|Function)\s*\(\s*(?:atob|unescape|decodeURIComponent)"
)
"""By which a script in a page of Jupyter reaches the kernel or the session of whoever opens it."""
_REACHES = re.compile(
    r"\b(?:fetch|XMLHttpRequest|WebSocket|EventSource|sendBeacon|importScripts|eval|Function|atob|unescape|fromCharCode|postMessage)\s*\("
    r"|new\s+(?:XMLHttpRequest|Image|Worker|Function|WebSocket)\b|\bimport\s*\(|\blocation\s*(?:=|\.\s*(?:href|assign|replace))|\.src\s*="
    r"|(?:local|session)Storage|javascript\s*:|<\s*(?:object|embed|base|form)\b|<\s*meta[^>]{0,200}http-equiv|\b(?:Jupyter|IPython)\s*[.\[]"
    r"|\b(?:window|self|globalThis|top|parent)\s*\[",
)
"""By which a script could do more than draw: the network, other code, other pages."""
_SOURCE = re.compile(r"<\s*script[^>]{0,1000}\bsrc\s*=\s*[\"']?([^\"'\s>]+)", re.IGNORECASE)
LIBRARIES = tuple(
    f"https://{host}/"
    for host in (
        "cdn.plot.ly", "cdn.bokeh.org", "cdn.pydata.org", "cdn.jsdelivr.net", "cdnjs.cloudflare.com", "unpkg.com", "code.jquery.com", "d3js.org",
        "maxcdn.bootstrapcdn.com", "www.gstatic.com", "cdn.holoviz.org", "polyfill-fastly.io",
    )
)  # fmt: skip
"""From where plotting libraries have their scripts."""
WIDGETS = (
    "@jupyter-widgets/",
    "jupyter-js-widgets",
    "jupyter-matplotlib",
    "bqplot",
    "ipycanvas",
    "jupyter-leaflet",
    "plotlywidget",
    "ipyvolume",
)
MARKUP = frozenset({"text/html", "image/svg+xml", "text/markdown", "text/latex"})


class NotebookReader:
    """Reads notebooks."""

    format = "notebook"

    def claims(self, source: Source) -> bool:
        """By the extension."""
        return source.extension == "ipynb"

    def read(self, source: Source, scan: Scan) -> None:
        """The code, and what the outputs would put into a page."""
        data = bytes(source.data)
        try:
            document = parse_json(data)
        except NotJson as problem:
            scan.malformed("notebook/broken", f"is no JSON ({problem.why}), so it was not judged", problem.at)
            return
        cells = list(_cells(document.value))
        if not isinstance(document.value, dict) or not ("cells" in document.value or "worksheets" in document.value):
            scan.malformed("notebook/broken", "has no cells: Jupyter doesn't open it", 0)
        for key in set(document.repeated) & {"cells", "source", "outputs", "data", "metadata", "cell_type"}:
            scan.malformed(
                "notebook/repeated-key",
                "a key stands twice in an object, of which readers take different ones",
                _find(data, key, 0),
                key,
            )
        _Notebook(data, scan).read(cells, document.value)


class _Notebook:
    """Goes through the cells of one notebook."""

    def __init__(self, data: bytes, scan: Scan) -> None:
        self._data, self._scan = data, scan
        self._counts: Counter[str] = Counter()
        self._starts = [found.start() for found in re.finditer(rb'"cell_type"', data)]
        """Where the cells begin, as Jupyter writes them."""

    def read(self, cells: list[dict[str, Any]], document: Any) -> None:
        code = Code()
        python = _is_python(document)
        for index, cell in enumerate(cells):
            source = _text(cell.get("source", cell.get("input")))
            if cell.get("cell_type") == "code":
                code.cell(index, source, python)
            elif cell.get("cell_type") in ("markdown", "raw", "html"):
                self._markup(source, Line(index, 0, source.partition("\n")[0]), "a cell of text")
            for output in cell["outputs"] if isinstance(cell.get("outputs"), list) else ():
                self._output(output, index)
        for harm in code.close():
            severity = Severity.HIGH if harm.hostile else Severity.MEDIUM if harm.grave else Severity.LOW
            self._add("runs", severity, f"a cell of code {harm.what} when it is run", harm.line, harm.evidence)
        for line in code.scripts:
            message = "a cell puts a script into the page when it is run"
            self._add("script-cell", Severity.MEDIUM, message, line, line.text)
        self._widgets(document)

    def _output(self, output: Any, cell: int) -> None:
        if not isinstance(output, dict):
            return
        kinds = output.get("data")
        if not isinstance(kinds, dict):
            # nbformat 3 has the kinds beside each other: `html`, `svg`, `javascript`.
            kinds = {f"text/{key}": value for key, value in output.items()}
        for kind, content in kinds.items():
            text = _text(content)
            first = next((part for part in content if isinstance(part, str)), "") if isinstance(content, list) else text
            line = Line(cell, 0, first)
            if text and ("javascript" in kind or "ecmascript" in kind):
                self._script(text, line, "an output is a script")
            elif text and (kind in MARKUP or kind == "text/svg"):
                self._markup(text, line, "an output")

    def _markup(self, text: str, line: Line, what: str) -> None:
        plain = html.unescape(text)
        if found := _ACTIVE.search(text) or _ACTIVE.search(plain):
            self._script(plain, line, f"{what} has a script or a form in it", found.group())

    def _script(self, text: str, line: Line, what: str, evidence: str = "") -> None:
        if found := _KERNEL.search(text):
            message = f"{what} that reaches the kernel or the session of whoever trusts the notebook. Don't open it"
            self._add("hostile-script", Severity.HIGH, message, line, found.group())
            return
        strange = next((url for url in _SOURCE.findall(text) if not url.startswith(LIBRARIES)), "")
        reaches = _REACHES.search(text)
        message = f"{what}, which runs when the notebook is trusted or made a web page"
        severity = Severity.MEDIUM if strange or reaches else Severity.LOW
        self._add("script", severity, message, line, strange or (reaches.group() if reaches else evidence or text[:80]))

    def _widgets(self, document: Any) -> None:
        for path, key, value in walk(document):
            if not isinstance(value, str):
                continue
            if key in ("model_module", "_model_module", "_view_module") and not value.startswith(WIDGETS):
                message = "a widget of a library that isn't known here: pages load its script from the web"
                self._add("widget", Severity.MEDIUM, message, Line(-1, 0, value), value)
            elif key == "_esm" and ".state" in path:
                self._add("widget", Severity.MEDIUM, "a widget that brings a script", Line(-1, 0, key), value[:80])

    def _add(self, id: str, severity: Severity, message: str, line: Line, evidence: str) -> None:
        self._counts[f"{id} {severity}"] += 1
        if self._counts[f"{id} {severity}"] <= REPORTED:
            tier = Tier.EXECUTES if severity is Severity.HIGH else Tier.POLICY
            self._scan.add(f"notebook/{id}", tier, severity, message, self._place(line), evidence[:200])

    def _place(self, line: Line) -> int:
        start = self._starts[line.cell] if 0 <= line.cell < len(self._starts) else 0
        return _find(self._data, line.text, start) or _find(self._data, line.text, 0) or start


def _cells(document: Any) -> Iterator[dict[str, Any]]:
    sheets = document.get("worksheets") if isinstance(document, dict) else None
    for holder in [document, *(sheets if isinstance(sheets, list) else [])]:
        cells = holder.get("cells") if isinstance(holder, dict) else None
        yield from (cell for cell in (cells if isinstance(cells, list) else []) if isinstance(cell, dict))


def _text(value: Any) -> str:
    """A text, which may be written as a list of its lines."""
    if isinstance(value, list):
        return "".join(part for part in value if isinstance(part, str))
    return value if isinstance(value, str) else ""


def _is_python(document: Any) -> bool:
    """By what the notebook says of its kernel; one that says nothing is taken for Python."""
    facts = document.get("metadata") if isinstance(document, dict) else None
    for holder, key in (("language_info", "name"), ("kernelspec", "language"), ("kernelspec", "name")):
        part = facts.get(holder) if isinstance(facts, dict) else None
        if isinstance(part, dict) and isinstance(part.get(key), str):
            return "python" in part[key].lower()
    return True


def _find(data: bytes, text: str, start: int) -> int:
    """Where a text stands as JSON writes it, from an offset on, at best as the beginning of a string; 0 when it is written otherwise."""
    if not text:
        return 0
    for plain in (False, True):
        written = json.dumps(text, ensure_ascii=plain)[1:-1].encode("utf-8", "surrogatepass")
        for lead in (b'"', b""):
            at = data.find(lead + written, start)
            if at >= 0:
                return at + len(lead)
    return 0

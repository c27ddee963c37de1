# SPDX-License-Identifier: Apache-2.0
"""Writes `src/bastide/knowledge/frameworks/` from the frameworks' own data: ids, official names, links.

    python tools/frameworks.py [DATA]           write the files
    python tools/frameworks.py --check [DATA]   compare only; exit 1 with a diff where they differ

DATA is the folder that holds `frameworks/`; without it BASTIDE_FRAMEWORK_DATA, else `../shared/data` beside
the repository. Sentences of the frameworks (descriptions, requirement texts) are left behind on purpose: they
are not ours to copy, and the product explains in its own words.
"""

from __future__ import annotations

import argparse
import difflib
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parent.parent
TARGET = REPOSITORY / "src/bastide/knowledge/frameworks"
HEADER = "# Made by tools/frameworks.py from the framework's own data: change that, not this file.\n"
SCOPE = "identifiers, official names and the facts that link or grade them only"
BY_SA = "CC-BY-SA-4.0"

Groups = dict[str, dict[str, Any]]
Framework = dict[str, Any]


# --- reading the data folder --------------------------------------------------------------------------------


def catalog(data: Path, name: str) -> dict[str, Any]:
    """A normalised catalogue of the data folder."""
    found: dict[str, Any] = json.loads((data / name / "catalog.json").read_text("utf-8"))
    return found


def yaml_file(data: Path, path: str) -> Any:
    """An upstream YAML file."""
    return yaml.safe_load((data / "raw" / path).read_text("utf-8"))


def raw_source(data: Path, folder: str) -> str:
    """Where an upstream folder comes from: `owner/name, commit 0123abcd of 2026-01-31`."""
    text = (data / "raw" / folder / "SOURCE.txt").read_text("utf-8")
    match = re.search(r"github:(\S+) commit (\w+) date (\S+)", text)
    if match is None:
        raise ValueError(f"raw/{folder}/SOURCE.txt names no commit")
    return f"{match[1]}, commit {match[2][:12]} of {match[3]}"


def catalog_source(about: dict[str, Any]) -> str:
    """The same for a normalised catalogue."""
    return f"{about['repo']}, commit {about['commit'][:12]} of {about['commit_date']}"


def headings(data: Path, folder: str, pattern: str) -> dict[str, str]:
    """Identifier -> name from the first line that matches in each Markdown file of an upstream folder."""
    found: dict[str, str] = {}
    for path in (data / "raw" / folder).glob("*.md"):
        match = re.search(pattern, path.read_text("utf-8"), re.MULTILINE)
        if match:
            found[match["id"]] = match["name"].strip()
    return dict(sorted(found.items()))


def framework(title: str, url: str, license: str, attribution: str, groups: Groups) -> Framework:
    """A framework in the order in which its file lists things."""
    return {
        "title": title,
        "url": url,
        "license": license,
        "attribution": f"{attribution}; {SCOPE}",
        "groups": groups,
    }


def entry(name: str, **facts: Any) -> Any:
    """An entry: its name alone, or its name with those facts that are known."""
    known = {key: value for key, value in facts.items() if value}
    return {"name": name, **known} if known else name


# --- one function a framework -------------------------------------------------------------------------------


def mitre_atlas(data: Path) -> Framework:
    """MITRE ATLAS 5.6: tactics, techniques, mitigations with what they mitigate."""
    matrix = yaml_file(data, "mitre-atlas/dist/ATLAS.yaml")["matrices"][0]
    return framework(
        "MITRE ATLAS 5.6",
        "https://atlas.mitre.org",
        "Apache-2.0",
        f"MITRE ATLAS, The MITRE Corporation ({raw_source(data, 'mitre-atlas')}, version 5.6.0)",
        {
            "tactic": {item["id"]: item["name"] for item in matrix["tactics"]},
            "technique": {item["id"]: _technique(item) for item in matrix["techniques"]},
            "mitigation": {item["id"]: _mitigation(item) for item in matrix["mitigations"]},
        },
    )


def _technique(item: dict[str, Any]) -> Any:
    return entry(
        item["name"],
        maturity=item["maturity"],
        parent=item.get("subtechnique-of"),
        tactics=item.get("tactics"),
    )


def _mitigation(item: dict[str, Any]) -> Any:
    # In 5.6.0 AML.M0018 and AML.M0034 have their last technique inside `ml-lifecycle`, among the phases.
    misplaced = [phase for phase in item["ml-lifecycle"] if isinstance(phase, dict)]
    links = [link["id"] for link in (*item["techniques"], *misplaced)]
    return entry(item["name"], mitigates=sorted(set(links)))


def cosai(data: Path) -> Framework:
    """CoSAI Risk Map: risks, controls and components with the links between them and to other frameworks."""
    source = catalog(data, "cosai-risk-map")
    return framework(
        "CoSAI Risk Map, August 2026",
        "https://github.com/cosai-oasis/secure-ai-tooling",
        "Apache-2.0",
        f"Coalition for Secure AI and Google LLC ({catalog_source(source['framework'])}; "
        "links to MITRE ATLAS were made upstream against 5.0.1 and all resolve in 5.6)",
        {
            "risk": {item["id"]: _cosai_risk(item) for item in source["risks"]},
            "control": {item["id"]: _cosai_control(item) for item in source["controls"]},
            "component": {item["id"]: _cosai_component(item) for item in source["components"]},
        },
    )


def _cosai_risk(item: dict[str, Any]) -> Any:
    links = _cosai_links(item)
    return entry(item["title"], category=item["category"], controls=item["controls"], **links)


def _cosai_control(item: dict[str, Any]) -> Any:
    facts = {"category": item["group"], "risks": item["risks"], "components": item["components"]}
    return entry(item["title"], **facts, **_cosai_links(item))


def _cosai_component(item: dict[str, Any]) -> Any:
    return entry(item["title"], category=item["subcategory"] or item["category"], to=item["edges"]["to"])


def _cosai_links(item: dict[str, Any]) -> dict[str, list[str]]:
    links = item["mappings"]
    return {
        "mitre-atlas:5.6": [link.split("@")[0] for link in links.get("mitre-atlas", ())],
        "owasp-llm:2025": [link.removesuffix(":2025") for link in links.get("owasp-top10-llm", ())],
        "nist-ai-rmf:1.0": [link.removesuffix("@1.0").lower() for link in links.get("nist-ai-rmf", ())],
        "stride": links.get("stride", []),
    }


def owasp_llm_2025(data: Path) -> Framework:
    """OWASP Top 10 for LLM Applications 2025."""
    return _owasp_llm(data, "2025", "owasp-llm-top10/2025")


def owasp_llm_2026(data: Path) -> Framework:
    """OWASP Top 10 for LLM Applications 2026."""
    return _owasp_llm(data, "2026", "owasp-llm-top10/2026/final")


def _owasp_llm(data: Path, year: str, folder: str) -> Framework:
    return framework(
        f"OWASP Top 10 for LLM Applications {year}",
        "https://genai.owasp.org/llm-top-10/",
        BY_SA,
        f"OWASP GenAI Security Project ({raw_source(data, 'owasp-llm-top10')})",
        {"risk": headings(data, folder, rf"^## (?P<id>LLM\d\d):{year} (?P<name>.+)$")},
    )


def owasp_asi(data: Path) -> Framework:
    """OWASP Top 10 for Agentic Applications 2026."""
    entries = yaml_file(data, "ibm-ai-atlas-nexus/owasp_asi_data.yaml")["entries"]
    names = dict(item["name"].split(":2026 ", 1) for item in entries)
    return framework(
        "OWASP Top 10 for Agentic Applications 2026",
        "https://genai.owasp.org/resource/owasp-top-10-for-agentic-applications-for-2026/",
        BY_SA,
        "OWASP Agentic Security Initiative, in the machine-readable form of IBM AI Atlas Nexus, Apache-2.0 "
        f"({raw_source(data, 'ibm-ai-atlas-nexus')})",
        {"risk": names},
    )


def owasp_mcp(data: Path) -> Framework:
    """OWASP MCP Top 10 2025, named as its pages are (the README still has an older name for MCP06)."""
    return framework(
        "OWASP MCP Top 10 2025",
        "https://owasp.org/www-project-mcp-top-10/",
        "CC-BY-SA-4.0 by its LICENSE.md, CC-BY-NC-SA-4.0 by its README",
        f"OWASP MCP Top 10 project ({raw_source(data, 'owasp-mcp-top10')}; named as on the risks' pages)",
        {"risk": headings(data, "owasp-mcp-top10/2025", r'^title: "(?P<id>MCP\d\d):2025 \W (?P<name>.+)"$')},
    )


def owasp_ml(data: Path) -> Framework:
    """OWASP Machine Learning Security Top 10 2023."""
    return framework(
        "OWASP Machine Learning Security Top 10 2023",
        "https://owasp.org/www-project-machine-learning-security-top-10/",
        BY_SA,
        f"OWASP Machine Learning Security Top 10 project ({raw_source(data, 'owasp-ml-top10')})",
        {"risk": headings(data, "owasp-ml-top10/docs", r"^title: (?P<id>ML\d\d):2023 (?P<name>.+)$")},
    )


def owasp_aisvs(data: Path) -> Framework:
    """OWASP AISVS 1.0: requirement ids by chapter, named by section (the requirements are sentences)."""
    source = catalog(data, "owasp-aisvs-1.0")
    titles = {group["id"]: group["title"] for group in source["groups"]}
    groups: Groups = {}
    for item in source["controls"]:
        chapter = item["group"].split(".")[0]
        members = groups.setdefault(f"{chapter} {titles[chapter]}", {})
        members[item["id"]] = entry(titles[item["group"]], level=item["level"])
    return framework(
        "OWASP Artificial Intelligence Security Verification Standard 1.0",
        "https://github.com/OWASP/AISVS",
        BY_SA,
        f"OWASP AISVS project ({catalog_source(source['framework'])}; each requirement under its section's title)",
        groups,
    )


def nist_ai_rmf(data: Path) -> Framework:
    """NIST AI RMF 1.0: subcategory ids by function (the subcategories are sentences and have no names)."""
    groups: Groups = {}
    for item in catalog(data, "nist-ai-rmf-1.0")["controls"]:
        groups.setdefault(item["ref"].split()[0], {})[item["id"]] = item["ref"]
    return framework(
        "NIST AI Risk Management Framework 1.0",
        "https://www.nist.gov/itl/ai-risk-management-framework",
        "US public domain",
        "NIST AI 100-1, January 2023",
        groups,
    )


def nist_800_53(data: Path) -> Framework:
    """NIST SP 800-53 Rev. 5: the base controls by family."""
    source = catalog(data, "nist-800-53r5")
    families = {group["id"]: group["title"] for group in source["groups"]}
    groups: Groups = {}
    for item in source["controls"]:
        if "." not in item["id"]:
            groups.setdefault(families[item["group"]], {})[item["id"]] = item["title"]
    return framework(
        "NIST SP 800-53 Revision 5",
        "https://csrc.nist.gov/pubs/sp/800/53/r5/upd1/final",
        "US public domain",
        f"NIST SP 800-53 Rev. 5 ({catalog_source(source['framework'])}, release 5.1.1; base controls)",
        groups,
    )


def finos_aigf(data: Path) -> Framework:
    """FINOS AI Governance Framework: risks, and mitigations with what they mitigate."""
    source = catalog(data, "finos-aigf")
    mitigations = {item["id"]: entry(item["title"], mitigates=item["mitigates"]) for item in source["controls"]}
    return framework(
        "FINOS AI Governance Framework, July 2026",
        "https://air-governance-framework.finos.org",
        "CC-BY-4.0",
        f"FINOS AI Readiness SIG ({catalog_source(source['framework'])})",
        {"risk": {item["id"]: item["title"] for item in source["risks"]}, "mitigation": mitigations},
    )


def iso_42001(data: Path) -> Framework:
    """ISO/IEC 42001:2023 Annex A: identifiers and titles."""
    controls = catalog(data, "iso-42001-annex-a-titles")["controls"]
    return framework(
        "ISO/IEC 42001:2023 Annex A",
        "https://www.iso.org/standard/81230.html",
        "identifiers and titles as facts; the standard's text is ISO/IEC's and is not carried",
        "ISO/IEC 42001:2023",
        {"control": {item["id"]: item["title"] for item in controls}},
    )


FRAMEWORKS: dict[str, Callable[[Path], Framework]] = {
    "mitre-atlas:5.6": mitre_atlas,
    "cosai:2026-08": cosai,
    "owasp-llm:2025": owasp_llm_2025,
    "owasp-llm:2026": owasp_llm_2026,
    "owasp-asi:2026": owasp_asi,
    "owasp-mcp:2025": owasp_mcp,
    "owasp-ml:2023": owasp_ml,
    "owasp-aisvs:1.0": owasp_aisvs,
    "nist-ai-rmf:1.0": nist_ai_rmf,
    "nist-800-53:r5": nist_800_53,
    "finos-aigf:2026-07": finos_aigf,
    "iso-42001:2023": iso_42001,
}


# --- writing and comparing ----------------------------------------------------------------------------------


class _Dumper(yaml.SafeDumper):
    """Plain YAML: no anchors, order kept; lists and entries of plain values on one line."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002 - PyYAML's name for it
        """Nothing is an alias, so that any YAML reader and any reviewer can read the file."""
        return True


def _represent_mapping(dumper: yaml.SafeDumper, value: dict[str, Any]) -> yaml.Node:
    on_one_line = "name" in value and all(isinstance(item, str | int) for item in value.values())
    return dumper.represent_mapping("tag:yaml.org,2002:map", value.items(), flow_style=on_one_line)


def _represent_list(dumper: yaml.SafeDumper, value: list[Any]) -> yaml.Node:
    return dumper.represent_sequence("tag:yaml.org,2002:seq", value, flow_style=True)


_Dumper.add_representer(dict, _represent_mapping)
_Dumper.add_representer(list, _represent_list)


def rendered(data: Path) -> dict[Path, str]:
    """Path -> content of every framework file, made from the data folder."""
    return {
        TARGET / f"{name.replace(':', '/', 1)}.yaml": HEADER
        + yaml.dump(read(data), Dumper=_Dumper, allow_unicode=True, width=110, sort_keys=False)
        for name, read in FRAMEWORKS.items()
    }


def write(files: dict[Path, str]) -> None:
    """Writes the files and takes away those that no framework accounts for."""
    for path in present() - files.keys():
        path.unlink()
    for path, content in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, "utf-8")


def present() -> set[Path]:
    """The framework files that are there."""
    return set(TARGET.glob("*/*.yaml"))


def differences(files: dict[Path, str]) -> Iterator[str]:
    """The lines of a unified diff from the files that are there to those that should be."""
    for path in sorted(present() | files.keys()):
        name = str(path.relative_to(REPOSITORY))
        there = path.read_text("utf-8") if path.is_file() else ""
        wanted = files.get(path, "")
        yield from difflib.unified_diff(there.splitlines(True), wanted.splitlines(True), name, f"{name} (from data)")


def default_data() -> Path:
    """The data folder where none is named on the command line."""
    return Path(os.environ.get("BASTIDE_FRAMEWORK_DATA") or REPOSITORY.parent / "shared/data")


def main(arguments: Iterable[str] | None = None) -> int:
    """Writes or checks; 0 fine, 1 the files differ from the data, 2 there is no data."""
    parser = argparse.ArgumentParser(description="Write the knowledge base's framework files from their data.")
    parser.add_argument("data", type=Path, nargs="?", default=default_data(), help="folder with frameworks/")
    parser.add_argument("--check", action="store_true", help="compare only; exit 1 with a diff")
    options = parser.parse_args(None if arguments is None else list(arguments))
    if not (options.data / "frameworks").is_dir():
        sys.stderr.write(f"error: no frameworks/ in {options.data}\n")
        return 2
    files = rendered(options.data / "frameworks")
    if not options.check:
        write(files)
        return 0
    diff = list(differences(files))
    sys.stdout.writelines(diff)
    return 1 if diff else 0


if __name__ == "__main__":
    sys.exit(main())

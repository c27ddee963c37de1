# SPDX-License-Identifier: Apache-2.0
"""The framework files: complete, plain, sound in their links, and equal to the frameworks' own data.

The comparisons read the data by other ways than `tools/frameworks.py` does: ATLAS as text instead of as YAML,
CoSAI from its own files instead of the normalised catalogue, the lists of OWASP line by line, and titles of
NIST and ISO also as FINOS lists them. A mistake in the tool is thus no mistake of the test too.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

FOLDER = Path(__file__).resolve().parents[2] / "src/bastide/knowledge/frameworks"
COUNTS: dict[str, dict[str | None, int]] = {
    "mitre-atlas:5.6": {"tactic": 16, "technique": 170, "mitigation": 35},
    "cosai:2026-08": {"risk": 36, "control": 35, "component": 23},
    "owasp-llm:2025": {"risk": 10},
    "owasp-llm:2026": {"risk": 10},
    "owasp-asi:2026": {"risk": 10},
    "owasp-mcp:2025": {"risk": 10},
    "owasp-ml:2023": {"risk": 10},
    "owasp-aisvs:1.0": {None: 191},
    "nist-ai-rmf:1.0": {"GOVERN": 19, "MAP": 18, "MEASURE": 22, "MANAGE": 13},
    "nist-800-53:r5": {None: 298},
    "finos-aigf:2026-07": {"risk": 23, "mitigation": 23},
    "iso-42001:2023": {"control": 38},
}
# Facts whose values are identifiers of the same framework; a link to another framework has its id as the key.
OWN_LINKS = ("parent", "tactics", "mitigates", "controls", "risks", "components", "to")
EVERY_OR_NO = ("all", "none")
# Where FINOS's list is the one that is wrong or worded otherwise: CA-6 is "Authorization".
FINOS_DIFFERS = {"ca-7", "A.6.1.2"}


@cache
def load(id: str) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load((FOLDER / f"{id.replace(':', '/')}.yaml").read_text("utf-8"))
    return found


def group(id: str, *names: str) -> dict[str, dict[str, Any]]:
    """Entries of these groups (of all, where none is named), each as a mapping with its name."""
    groups = load(id)["groups"]
    members = {k: v for name in names or groups for k, v in groups[name].items()}
    return {k: v if isinstance(v, dict) else {"name": v} for k, v in members.items()}


def names(id: str, *groups: str) -> dict[str, str]:
    return {key: entry["name"] for key, entry in group(id, *groups).items()}


def links(id: str) -> Iterator[tuple[str, str, str]]:
    """Identifier, the framework that its link leads to, the identifier there."""
    for key, entry in group(id).items():
        for fact, value in entry.items():
            if fact in OWN_LINKS and value not in EVERY_OR_NO:
                yield from ((key, id, target) for target in ([value] if isinstance(value, str) else value))
            elif ":" in fact:
                yield from ((key, fact, target) for target in value)


# --- without the data --------------------------------------------------------------------------------------


def test_exactly_these_frameworks_are_carried() -> None:
    assert {f"{path.parent.name}:{path.stem}" for path in FOLDER.glob("*/*")} == COUNTS.keys()


@pytest.mark.parametrize("id", COUNTS)
def test_every_framework_is_complete(id: str) -> None:
    """As many entries as the framework has, none in two groups, and it says whose it is."""
    found = load(id)
    assert list(found) == ["title", "url", "license", "attribution", "groups"]
    assert all(isinstance(found[key], str) and found[key] for key in ("title", "license", "attribution"))
    assert found["url"].startswith("https://")
    sizes = {name: len(members) for name, members in found["groups"].items()}
    assert sum(sizes.values()) == sum(COUNTS[id].values()) == len(group(id))
    assert None in COUNTS[id] or sizes == COUNTS[id]


@pytest.mark.parametrize("id", COUNTS)
def test_files_are_plain_yaml(id: str) -> None:
    """No anchors, aliases or tags, no key twice, and each id and name is text (`1.0` would be a number)."""
    text = (FOLDER / f"{id.replace(':', '/')}.yaml").read_text("utf-8")
    tokens = list(yaml.scan(text))
    assert not [t for t in tokens if isinstance(t, yaml.AnchorToken | yaml.AliasToken | yaml.TagToken)]
    for mapping in mappings(yaml.compose(text)):
        assert len({key.value for key, _ in mapping.value}) == len(mapping.value)
    assert {type(text) for pair in names(id).items() for text in pair} == {str}


def mappings(node: yaml.Node | None) -> Iterator[yaml.MappingNode]:
    """Every mapping of a document."""
    if isinstance(node, yaml.MappingNode):
        yield node
        for _, value in node.value:
            yield from mappings(value)


@pytest.mark.parametrize("id", COUNTS)
def test_only_names_are_carried(id: str) -> None:
    """A name is short and no sentence; nothing else in an entry is longer than an identifier."""
    for key, entry in group(id).items():
        assert len(entry["name"]) <= 100, key
        assert not entry["name"].endswith((".", ":")), key
        for fact, value in entry.items():
            texts = [value] if isinstance(value, str) else value if isinstance(value, list) else []
            assert fact == "name" or not any(" " in text for text in texts), key


@pytest.mark.parametrize("id", COUNTS)
def test_every_link_leads_somewhere(id: str) -> None:
    assert [link for link in links(id) if link[2] not in group(link[1])] == []


def test_links_of_cosai_agree_in_both_directions() -> None:
    """A control lists the risks that list it; controls for all risks are not repeated at each risk."""
    risks, controls = group("cosai:2026-08", "risk"), group("cosai:2026-08", "control")
    forward = {(risk, control) for risk, entry in risks.items() for control in entry["controls"]}
    backward = {(risk, id) for id, entry in controls.items() if entry["risks"] != "all" for risk in entry["risks"]}
    assert forward == backward
    assert all(entry["controls"] for entry in risks.values())


def test_every_technique_has_a_maturity_and_a_way_to_its_tactics() -> None:
    """Sub-techniques have none of their own: they stand under the tactics of their parent."""
    techniques = group("mitre-atlas:5.6", "technique")
    for id, entry in techniques.items():
        assert entry["maturity"] in ("feasible", "demonstrated", "realized"), id
        assert entry.get("parent") == (id.rsplit(".", 1)[0] if id.count(".") == 2 else None)
        assert techniques[entry.get("parent", id)]["tactics"], id


# --- against the data --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(framework_data: Path) -> Path:
    return framework_data / "frameworks"


def catalog(data: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((data / name / "catalog.json").read_text("utf-8"))
    return found


def atlas_blocks(data: Path) -> dict[str, str]:
    """Identifier -> its lines in ATLAS.yaml, cut where an object begins; no YAML reader involved."""
    text = (data / "raw/mitre-atlas/dist/ATLAS.yaml").read_text("utf-8").split("\ncase-studies:")[0]
    parts = re.split(r"^  - id: (AML\.\S+)$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_atlas_names_equal_the_source(data: Path) -> None:
    found = {id: re.findall(r"^    name: (.+)$", lines, re.M) for id, lines in atlas_blocks(data).items()}
    assert names("mitre-atlas:5.6") == {id: name.strip("'\"") for id, (name,) in found.items()}


def test_atlas_facts_equal_the_source(data: Path) -> None:
    """Maturity, parent and tactics of each technique; all that each mitigation names, misplaced or not."""
    blocks = atlas_blocks(data)
    for id, entry in group("mitre-atlas:5.6", "technique").items():
        facts = dict(re.findall(r"^    (maturity|subtechnique-of): (\S+)$", blocks[id], re.M))
        assert entry["maturity"] == facts["maturity"]
        assert entry.get("parent") == facts.get("subtechnique-of")
        assert entry.get("tactics", []) == re.findall(r"^    - (AML\.TA\d+)$", blocks[id], re.M)
    for id, entry in group("mitre-atlas:5.6", "mitigation").items():
        assert set(entry["mitigates"]) == set(re.findall(r"^    - id: (AML\.T\S+)$", blocks[id], re.M)), id


def test_two_mitigations_have_the_link_that_upstream_misplaced() -> None:
    mitigations = group("mitre-atlas:5.6", "mitigation")
    assert all("AML.T0052.001" in mitigations[id]["mitigates"] for id in ("AML.M0018", "AML.M0034"))


def cosai_objects(data: Path, name: str) -> dict[str, dict[str, Any]]:
    text = (data / f"raw/cosai-risk-map/risk-map/yaml/{name}.yaml").read_text("utf-8")
    return {item["id"]: item for item in yaml.safe_load(text)[name]}


@pytest.mark.parametrize("name", ["risks", "controls", "components"])
def test_cosai_equals_the_source(data: Path, name: str) -> None:
    """Names, and every fact that a file of ours carries under the name that it has upstream."""
    source = cosai_objects(data, name)
    ours = group("cosai:2026-08", name.removesuffix("s"))
    assert {id: entry["name"] for id, entry in ours.items()} == {id: o["title"] for id, o in source.items()}
    for id, entry in ours.items():
        theirs = source[id]
        assert entry["category"] == theirs.get("subcategory", theirs["category"])
        for fact in ("controls", "risks", "components"):
            assert entry.get(fact, []) == theirs.get(fact, []), (id, fact)
        assert entry.get("to", []) == theirs.get("edges", {}).get("to", [])


@pytest.mark.parametrize("name", ["risks", "controls"])
def test_cosai_links_to_other_frameworks_equal_the_source(data: Path, name: str) -> None:
    written = {
        "mitre-atlas": ("mitre-atlas:5.6", "{}@5.0.1"),
        "owasp-top10-llm": ("owasp-llm:2025", "{}:2025"),
        "nist-ai-rmf": ("nist-ai-rmf:1.0", "{}@1.0"),
        "stride": ("stride", "{}"),
    }
    ours = group("cosai:2026-08", name.removesuffix("s"))
    for id, theirs in cosai_objects(data, name).items():
        linked = theirs.get("mappings", {})
        assert linked.keys() <= written.keys()
        for key, (fact, form) in written.items():
            there = [form.format(x.upper() if key == "nist-ai-rmf" else x) for x in ours[id].get(fact, [])]
            assert there == linked.get(key, []), (id, key)


@pytest.mark.parametrize(
    ("id", "folder", "prefix"),
    [
        ("owasp-llm:2025", "owasp-llm-top10/2025", "## "),
        ("owasp-llm:2026", "owasp-llm-top10/2026/final", "## "),
        ("owasp-mcp:2025", "owasp-mcp-top10/2025", "title: "),
        ("owasp-ml:2023", "owasp-ml-top10/docs", "title: "),
    ],
)
def test_owasp_lists_equal_the_headings(data: Path, id: str, folder: str, prefix: str) -> None:
    year = id.split(":")[1]
    found: dict[str, str] = {}
    for path in sorted((data / "raw" / folder).glob("*.md")):
        for line in path.read_text("utf-8").splitlines():
            key, colon, name = line.removeprefix(prefix).strip('" ').partition(f":{year} ")
            if line.startswith(prefix) and colon:
                found[key] = name.lstrip("-\N{EN DASH} ").strip()
    assert names(id) == found


def test_owasp_asi_equals_ibms_data(data: Path) -> None:
    text = (data / "raw/ibm-ai-atlas-nexus/owasp_asi_data.yaml").read_text("utf-8")
    assert names("owasp-asi:2026") == dict(re.findall(r'"(ASI\d\d):2026 (.+)"', text))


def test_owasp_aisvs_equals_the_source(data: Path) -> None:
    """Each requirement that the families of AISVS name, under its section's title and its chapter's."""
    source = catalog(data, "owasp-aisvs-1.0")
    required = {id for family in source["families"] for item in family["techniques"] for id in item["requirements"]}
    titles = {item["id"]: item["title"] for item in source["groups"]}
    levels = {item["id"]: item["level"] for item in source["controls"]}
    ours = group("owasp-aisvs:1.0")
    assert ours.keys() == required
    for id, entry in ours.items():
        assert entry == {"name": titles[id.rsplit(".", 1)[0]], "level": levels[id]}
        assert id in load("owasp-aisvs:1.0")["groups"][f"{id.split('.')[0]} {titles[id.split('.')[0]]}"]


def test_aisvs_chapters_equal_those_that_owasp_llm_names(data: Path) -> None:
    text = (data / "raw/owasp-llm-top10/2026/final/LLMZZ_Appendix_AISVS_Mapping.md").read_text("utf-8")
    chapters = [f"{id} {title}" for id, title in re.findall(r"^\| \*\*(C\d+)\*\* \| (.+?) \|$", text, re.M)]
    assert list(load("owasp-aisvs:1.0")["groups"]) == chapters


def test_nist_ai_rmf_equals_the_source(data: Path) -> None:
    """Ids and references, and every subcategory that the generative AI profile has actions for."""
    source = {item["id"]: item["ref"] for item in catalog(data, "nist-ai-rmf-1.0")["controls"]}
    assert names("nist-ai-rmf:1.0") == source
    short = {"GV": "govern", "MP": "map", "MS": "measure", "MG": "manage"}
    profile = [item["id"].split("-") for item in catalog(data, "nist-ai-600-1")["groups"]]
    assert {f"{short[function]}-{number}" for function, number in profile} <= source.keys()


def test_nist_800_53_equals_the_source(data: Path) -> None:
    """Titles from the catalogue, and again as FINOS lists them (in other capitals, with withdrawn ones)."""
    source = {item["id"]: item["title"] for item in catalog(data, "nist-800-53r5")["controls"]}
    ours = names("nist-800-53:r5")
    assert ours == {id: title for id, title in source.items() if re.fullmatch(r"[a-z]{2}-\d+", id)}
    listed = catalog(data, "finos-aigf")["reference_catalogues"]["nist-sp-800-53r5"]["entries"]
    for id in ours.keys() - FINOS_DIFFERS:
        assert listed[id]["title"].casefold() == f"{id} {ours[id]}".casefold()


def test_finos_aigf_equals_the_source(data: Path) -> None:
    source = catalog(data, "finos-aigf")
    titles = {item["id"]: item["title"] for part in ("risks", "controls") for item in source[part]}
    assert names("finos-aigf:2026-07") == titles
    edges = {(x["from"], x["to"]) for x in source["mappings"] if x["framework"] == "finos-aigf-risk"}
    assert {(id, target) for id, _, target in links("finos-aigf:2026-07")} == edges


def test_iso_42001_equals_the_source(data: Path) -> None:
    """Titles from the list, and again for those that FINOS refers to."""
    source = {item["id"]: item["title"] for item in catalog(data, "iso-42001-annex-a-titles")["controls"]}
    assert names("iso-42001:2023") == source
    listed = catalog(data, "finos-aigf")["reference_catalogues"]["iso-42001"]["entries"]
    theirs = {key.replace("-", "."): value["title"] for key, value in listed.items()}
    assert theirs.keys() <= source.keys()
    assert {id for id, title in theirs.items() if title != f"ISO 42001: {source[id]}"} <= FINOS_DIFFERS


# --- the tool ----------------------------------------------------------------------------------------------


def run_tool(root: Path, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(root / "tools/frameworks.py"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture
def copy(repo: Path, tmp_path: Path) -> Path:
    """A repository with nothing but the tool and the framework files."""
    if not (repo / "tools/frameworks.py").is_file():
        pytest.skip("this is no checkout: the maintainers' tools are not part of a source distribution")
    shutil.copytree(FOLDER, tmp_path / "src/bastide/knowledge/frameworks")
    (tmp_path / "tools").mkdir()
    shutil.copy(repo / "tools/frameworks.py", tmp_path / "tools")
    return tmp_path


def test_the_files_are_what_the_tool_makes(copy: Path, framework_data: Path) -> None:
    checked = run_tool(copy, "--check", framework_data)
    assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")


def test_check_shows_what_differs_and_writing_mends_it(copy: Path, framework_data: Path) -> None:
    """A changed name, a missing file and a file that no framework accounts for."""
    frameworks = copy / "src/bastide/knowledge/frameworks"
    changed, missing, extra = (frameworks / f"owasp-llm/{year}.yaml" for year in ("2025", "2026", "1999"))
    changed.write_text(changed.read_text("utf-8").replace("LLM06: Excessive Agency", "LLM06: Agency"), "utf-8")
    missing.unlink()
    extra.write_text("title: none\n", "utf-8")
    checked = run_tool(copy, "--check", framework_data)
    assert checked.returncode == 1
    assert "-    LLM06: Agency\n+    LLM06: Excessive Agency\n" in checked.stdout
    assert "+    LLM08: Hidden Context Exposure\n" in checked.stdout
    assert "-title: none\n" in checked.stdout
    assert run_tool(copy, framework_data).returncode == 0
    assert run_tool(copy, "--check", framework_data).returncode == 0
    assert not extra.exists()


def test_without_data_the_tool_says_so(copy: Path) -> None:
    checked = run_tool(copy, "--check", copy)
    assert checked.returncode == 2
    assert checked.stderr == f"error: no frameworks/ in {copy}\n"

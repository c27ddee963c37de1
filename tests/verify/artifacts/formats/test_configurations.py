# SPDX-License-Identifier: Apache-2.0
"""What configurations have called or evaluated is judged: MONAI's expressions, TorchServe's handlers."""

import io
import json
import zipfile
from typing import Any

import pytest
import yaml

from bastide.verify.artifacts.formats._targets import Call, judge
from bastide.verify.artifacts.model import Verdict
from bastide.verify.artifacts.scan import scan_bytes
from tests.verify.artifacts.formats.models import judged

BUNDLE = {
    "imports": ["$import glob", "$import os", "$from monai.data import decollate_batch"],
    "device": "$torch.device('cuda:0' if torch.cuda.is_available() else 'cpu')",
    "files": "$sorted(glob.glob(os.path.join(@root, '*.nii')))",
    "network": {"_target_": "monai.networks.nets.UNet", "to": "$@other.make(1).to(@device)"},
    "data": "$[{'image': i} for i in @files]",
    "run": ["$@evaluator#x.run()", "$monai.utils.set_determinism(seed=1)", "$lambda x: decollate_batch(x)"],
}


@pytest.mark.parametrize("write", [json.dumps, yaml.safe_dump])
@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("$@a + 1", Verdict.SAFE),
        ("$None if @x else int(3)", Verdict.SAFE),
        ("$(not @a)", Verdict.SAFE),
        ("$setattr(torch.backends.cudnn, 'benchmark', True)", Verdict.SAFE),
        ("$lambda x: monai.handlers.from_engine(['loss'], first=True)(x)", Verdict.SAFE),
        ("$@a.load_state_dict(torch.load(@path))", Verdict.UNKNOWN),
        ("$getattr(@a, 'b')()", Verdict.UNKNOWN),
        ("$__import__('os').system('x')", Verdict.UNSAFE),
        ("$os.system('x')", Verdict.UNSAFE),
        ("$getattr(os, 'sys' + 'tem')('x')", Verdict.UNSAFE),
        ("$[os.system][0]('x')", Verdict.UNSAFE),
        ("$list(map(os.system, ['x']))", Verdict.UNSAFE),
        ("$exec('x')", Verdict.UNSAFE),
        ("$@x.__class__.__base__", Verdict.UNKNOWN),
        ("$scripts.mine(1)", Verdict.UNKNOWN),
        ("$json.load(open(@list))", Verdict.UNKNOWN),
    ],
)
def test_expressions_of_monai_are_judged(write: Any, expression: str, expected: Verdict) -> None:
    """In JSON and in YAML."""
    name = "inference.json" if write is json.dumps else "inference.yaml"
    assert expected is judged(write(BUNDLE | {"more": expression}).encode(), name)[0]


def test_dollars_elsewhere_are_no_code() -> None:
    """Only what has a `_target_` is evaluated."""
    assert Verdict.SAFE is judged(yaml.safe_dump({"price": "$exec('x')", "x": "!"}).encode(), "a.yaml")[0]


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("os.system", Call.HARMFUL),
        ("torch.os.system", Call.HARMFUL),
        ("random._os.system", Call.HARMFUL),
        ("torch.hub.load", Call.HARMFUL),
        ("torch.utils.cpp_extension.load", Call.HARMFUL),
        ("builtins.eval", Call.HARMFUL),
        ("os.path.join", Call.KNOWN),
        ("torch.optim.Adam", Call.KNOWN),
        ("collections.OrderedDict", Call.KNOWN),
        ("torch.nn.__builtins__.get", Call.UNKNOWN),
        ("RetinaNet", Call.KNOWN),
        ("eval", Call.HARMFUL),
        ("torch.load", Call.UNKNOWN),
        ("pandas.read_pickle", Call.HARMFUL),
        ("mine.Net", Call.CLASS),
        ("mine.net", Call.UNKNOWN),
    ],
)
def test_names_are_judged_by_what_they_lead_to(path: str, expected: Call) -> None:
    """Through other modules too."""
    assert expected is judge(path)[0]


def served(handler: str, *files: str, **facts: str) -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        model = {"modelName": "m", "serializedFile": "m.json", "handler": handler, "modelVersion": "1.0", **facts}
        archive.writestr("MAR-INF/MANIFEST.json", json.dumps({"model": model, "archiverVersion": "0.8"}))
        archive.writestr("m.json", "{}")
        for name in files:
            archive.writestr(name, "x = 1\n")
    return out.getvalue()


@pytest.mark.parametrize(
    ("data", "id", "expected"),
    [
        (served("image_classifier"), "mar/handler", Verdict.SAFE),
        (served("handler.py", "handler.py"), "mar/holds-code", Verdict.UNKNOWN),
        (served("image_classifier", "other.py"), "mar/holds-code", Verdict.UNKNOWN),
        (served("mine"), "mar/holds-code", Verdict.UNKNOWN),
        (served("../handler.py:run"), "mar/path", Verdict.UNSAFE),
        (served("image_classifier", extraFiles="a.txt,/etc/passwd"), "mar/path", Verdict.UNSAFE),
    ],
)
def test_handlers_of_torchserve_are_said(data: bytes, id: str, expected: Verdict) -> None:
    """The server's own ones are a note."""
    report = scan_bytes(data, "m.mar")
    assert (report.verdict, report.format, id in {f.id for f in report.findings}) == (expected, "mar", True)

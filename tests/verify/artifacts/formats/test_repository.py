# SPDX-License-Identifier: Apache-2.0
"""The files around a model are safe when no loader imports or reads by them what isn't in the model's own libraries."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.verify.artifacts.model import Severity, Verdict
from bastide.verify.artifacts.scan import scan_bytes
from tests.verify.artifacts.formats.models import judged

BERT = {
    "architectures": ["BertModel"],
    "model_type": "bert",
    "hidden_size": 768,
    "torch_dtype": "float32",
    "id2label": {"0": "A"},
}
ADAPTER = {
    "peft_type": "LORA",
    "base_model_name_or_path": "meta/llama",
    "r": 8,
    "target_modules": ["q_proj"],
    "auto_mapping": None,
}
ST = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
]
DIFFUSERS = {
    "_class_name": "StableDiffusionPipeline", "_diffusers_version": "0.30", "unet": ["diffusers", "UNet2DConditionModel"],
    "safety_checker": ["stable_diffusion", "StableDiffusionSafetyChecker"], "image_encoder": [None, None], "requires_safety_checker": True,
}  # fmt: skip
GOOD: list[tuple[str, Any]] = [
    ("config.json", BERT),
    ("tokenizer_config.json", {"tokenizer_class": "BertTokenizer", "model_max_length": 512, "chat_template": "{{ messages[0].content }}"}),
    ("tokenizer_config.json", {"chat_template": [{"name": "default", "template": "{{ messages[0]['content'] }}"}]}),
    ("adapter_config.json", ADAPTER),
    ("modules.json", ST),
    ("model_index.json", DIFFUSERS),
    ("model.safetensors.index.json", {"metadata": {"total_size": 3}, "weight_map": {"a": "model-00001-of-00002.safetensors"}}),
    ("tokenizer.json", {"version": "1.0", "model": {"type": "BPE", "vocab": {"a": 0}, "merges": []}}),
    ("generation_config.json", {"do_sample": True}),
    ("train.json", {"model": {"_target_": "torch.nn.Linear", "in_features": 2}}),
]  # fmt: skip


def checked(name: str, content: Any) -> tuple[Verdict, set[str]]:
    data = content if isinstance(content, bytes) else json.dumps(content).encode()
    verdict, found = judged(data, f"model/{name}")
    return verdict, {id.removeprefix("repository/") for id in found}


@pytest.mark.parametrize(("name", "content"), GOOD)
def test_files_of_honest_models_are_safe(name: str, content: Any) -> None:
    """Configurations that name classes of the libraries themselves."""
    assert (Verdict.SAFE, set()) == checked(name, content)


@pytest.mark.parametrize(
    ("name", "content", "id"),
    [
        ("config.json", BERT | {"auto_map": {"AutoModel": "someone/other--modeling.Model"}}, "auto-map-elsewhere"),
        ("config.json", BERT | {"auto_map": {"AutoModel": "../../x.Model"}}, "auto-map-elsewhere"),
        ("config.json", BERT | {"auto_map": {"AutoModel": "..modeling.Model"}}, "auto-map-elsewhere"),
        ("inference.json", {"imports": ["$import os"], "run": ["$os.system('x')"]}, "expression"),
        ("tokenizer_config.json", {"auto_map": {"AutoTokenizer": ["a/b--tok.T", None]}}, "auto-map-elsewhere"),
        ("config.json", BERT | {"custom_pipelines": {"x": {"impl": "a/b--pipe.P"}}}, "custom-pipeline-elsewhere"),
        ("config.json", BERT | {"attn_implementation": "someone/kernel"}, "external-kernel"),
        ("config.json", {"model": {"_target_": "os.system", "command": "touch x"}}, "target"),
        ("any.json", {"a": [{"_target_": "builtins.eval"}]}, "target"),
        ("any.json", {"a": [{"_target_": "hydra.utils.get_method", "path": "os.system"}]}, "target"),
        ("any.json", {"py/reduce": [{"py/type": "subprocess.Popen"}]}, "jsonpickle"),
        ("any.json", {"py/object": "subprocess.Popen"}, "jsonpickle"),
        ("modules.json", [{"type": "subprocess.Popen", "path": ""}], "module-type"),
        ("modules.json", [{"type": "sentence_transformers.models.Transformer", "path": "../../etc"}], "path"),
        ("model_index.json", DIFFUSERS | {"unet": ["os", "system"]}, "component"),
        ("model_index.json", DIFFUSERS | {"_class_name": ["a/b--pipeline", "P"]}, "custom-pipeline-elsewhere"),
        ("adapter_config.json", ADAPTER | {"auto_mapping": {"parent_library": "subprocess", "base_model_class": "Popen"}}, "parent-library"),
        ("model.safetensors.index.json", {"weight_map": {"a": "../../../etc/passwd"}}, "path"),
        ("model.safetensors.index.json", {"weight_map": {"a": "/etc/passwd"}}, "path"),
        ("model.safetensors.index.json", {"weight_map": {"a": "..\\x"}}, "path"),
        ("pytorch_model.bin.index.json", {"weight_map": {"a": "C:\\x"}}, "path"),
        ("pytorch_model.bin.index.json", {"weight_map": {"a": "http://x/a"}}, "path"),
        ("config.json", b'{"auto_map":{},"auto_map":{}}', "repeated-key"),
    ],
)  # fmt: skip
def test_what_makes_loaders_run_or_read_elsewhere_is_unsafe(name: str, content: Any, id: str) -> None:
    """Code of other repositories, calls by name, paths that lead out of the folder."""
    verdict, found = checked(name, content)
    assert Verdict.UNSAFE is verdict
    assert id in found


@pytest.mark.parametrize(
    ("name", "content", "id"),
    [
        ("config.json", BERT | {"auto_map": {"AutoModel": "modeling.Model"}}, "auto-map"),
        ("config.json", {"a\\u0075to_map": 1} | BERT | {"trust_remote_code": True}, "trusts-remote-code"),
        ("sentence_bert_config.json", {"model_args": {"trust_remote_code": True}}, "trusts-remote-code"),
        ("config.json", b'{"\\u0061uto_map": {"AutoModel": "modeling.Model"}}', "auto-map"),
        ("config.json", BERT | {"custom_pipelines": {"x": {"impl": "pipe.P"}}}, "custom-pipeline"),
        ("config.json", {"_target_": "mine.Model"}, "target"),
        ("modules.json", [{"type": "custom.Module", "path": ""}], "module-type"),
        ("model_index.json", DIFFUSERS | {"unet": ["my_unet", "Unet"]}, "component"),
        ("model_index.json", DIFFUSERS | {"_class_name": ["pipeline", "P"]}, "custom-pipeline"),
        ("adapter_config.json", ADAPTER | {"auto_mapping": {"parent_library": "mine", "base_model_class": "M"}}, "parent-library"),
        ("adapter_config.json", ADAPTER | {"base_model_name_or_path": "https://x/y"}, "base-elsewhere"),
        ("modules.json", {"a": 1}, "broken"),
        ("config.json", b"{", "broken"),
        ("tokenizer_config.json", {"chat_template": 3}, "template"),
        ("x.safetensors.index.json", {"weight_map": {"a": 3}}, "index"),
    ],
)  # fmt: skip
def test_what_somebody_has_to_decide_is_unknown(name: str, content: Any, id: str) -> None:
    """Code in the repository itself, and what the loader refuses."""
    verdict, found = checked(name, content)
    assert Verdict.UNKNOWN is verdict
    assert id in found


def test_a_base_model_on_the_authors_machine_is_only_a_note() -> None:
    """Many adapters name the folder in which they were trained."""
    report = scan_bytes(
        json.dumps(ADAPTER | {"base_model_name_or_path": "/home/me/llama"}).encode(), "adapter_config.json"
    )
    assert (report.verdict, [f.severity for f in report.findings]) == (Verdict.SAFE, [Severity.LOW])


def test_templates_of_the_tokenizer_are_judged() -> None:
    """Wherever the tokenizer's files hold them."""
    attack = "{{ ''.__class__ }}"
    for content in (
        {"chat_template": attack},
        {"chat_template": [{"name": "x", "template": attack}]},
        {"chat_template": {"x": attack}},
    ):
        report = scan_bytes(json.dumps(content).encode(), "tokenizer_config.json")
        assert Verdict.UNSAFE is report.verdict
        assert "chat_template" in report.findings[0].member


def test_offsets_are_those_of_the_value() -> None:
    """A finding says where what it found stands."""
    data = json.dumps(BERT | {"auto_map": {"AutoModel": "modeling.Model"}}).encode()
    assert [data.index(b"modeling.Model")] == [f.offset for f in scan_bytes(data, "config.json").findings]


def test_other_json_is_text() -> None:
    """A JSON file that no loader of models reads is a text like others."""
    assert scan_bytes(b'{"a": 1}', "notes.json").format == "text"


KEYS = [
    "auto_map",
    "chat_template",
    "weight_map",
    "type",
    "path",
    "_class_name",
    "auto_mapping",
    "custom_pipelines",
    "impl",
    "_target_",
    "py/object",
]
NAMES = [
    "config.json",
    "modules.json",
    "model_index.json",
    "adapter_config.json",
    "a.index.json",
    "tokenizer_config.json",
]
LEAVES = st.none() | st.booleans() | st.integers() | st.text(max_size=5)


def _below(content: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.lists(content, max_size=3) | st.dictionaries(st.sampled_from(KEYS), content, max_size=4)


@given(st.recursive(LEAVES, _below, max_leaves=20), st.sampled_from(NAMES))
@settings(max_examples=200, deadline=None)
def test_no_shape_makes_the_reader_fail(content: Any, name: str) -> None:
    """Whatever stands where a loader expects something else."""
    assert "hugging-face" in scan_bytes(json.dumps(content).encode(), name).format


@pytest.mark.parametrize(
    "code",
    [
        "import os\nos.system('touch x')",
        "import os as o\nclass A:\n    o.popen('x')",
        "from subprocess import run\nx = run(['x'])",
        "__import__('os').system('x')",
        "import ctypes\nctypes.CDLL('./x.so')",
        "exec('x')",
        "import requests\nrequests.get('http://x')",
        "def f():\n    import os\n    os.system('x')\nf()",
        "def f(a=eval('x')): pass",
        "import importlib\nimportlib.import_module('os').system('x')",
        "import os\nclass EndpointHandler:\n    def __init__(self, path=''):\n        os.system('x')",
        "import os\ndef go():\n    os.system('x')\nclass M:\n    def load_context(self, c):\n        go()",
    ],
)
def test_code_that_acts_at_import_is_unsafe(code: str) -> None:
    """Importing it is enough."""
    assert "python/runs-at-import" in judged(code.encode(), "modeling_x.py")[1]


def test_code_that_hides_what_it_runs_is_unsafe() -> None:
    """In whatever function."""
    for line in ("exec(base64.b64decode(x))", "getattr(base64, 'sys' + 'tem')(x)"):
        assert "python/hostile" in judged(f"import base64\ndef forward(x):\n    {line}".encode(), "modeling_x.py")[1]


@pytest.mark.parametrize(
    "code",
    [
        "import torch\nclass M(torch.nn.Module):\n    pass",
        "def f():\n    import os\n    os.system('x')",
        "if __name__ == '__main__':\n    exec('x')",
        "import pickle\nclass Tokenizer:\n    def __init__(self, vocab):\n        self.v = pickle.load(open(vocab, 'rb'))",
        "(" * 1000,
        "\0",
    ],
)
def test_code_is_never_safe(code: str) -> None:
    """Nobody but a reader can tell what code does."""
    assert Verdict.UNKNOWN is judged(code.encode(), "modeling_x.py")[0]


@pytest.mark.parametrize(
    ("module", "expected"),
    [
        ("mlflow.pytorch.pickle_module", Verdict.SAFE), ("cloudpickle\n", Verdict.SAFE), ("", Verdict.UNKNOWN), ("mine.pickles", Verdict.UNKNOWN),
        ("subprocess", Verdict.UNSAFE),
    ],
)  # fmt: skip
def test_the_module_that_unpickles_is_known(module: str, expected: Verdict) -> None:
    """MLflow imports what the file names."""
    assert expected is judged(module.encode() or b" ", "model/data/pickle_module_info.txt")[0]

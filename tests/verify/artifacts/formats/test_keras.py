# SPDX-License-Identifier: Apache-2.0
"""Keras' files are judged by what the most trusting version of `load_model` does with their configuration."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.verify.artifacts.formats.keras_config import judge_config
from bastide.verify.artifacts.interface import Limits, Scan
from bastide.verify.artifacts.model import Verdict, verdict
from bastide.verify.artifacts.scan import read_all, scan_bytes
from tests.verify.artifacts.archives.zips import TOUCHES, M, ids, zipped
from tests.verify.artifacts.formats.models import code_of

Config = dict[str, Any]


def keras(*layers: Config, **more: Any) -> bytes:
    config = {
        "module": "keras",
        "class_name": "Sequential",
        "config": {"name": "s", "layers": list(layers)},
        "registered_name": None,
        **more,
    }
    return zipped(
        M(b"metadata.json", b'{"keras_version": "3.8.0"}'),
        M(b"config.json", json.dumps(config).encode()),
        M(b"model.weights.npz", zipped()),
    )


def layer(name: str, module: str | None = "keras.layers", registered: str | None = None, /, **config: Any) -> Config:
    return {"module": module, "class_name": name, "config": config, "registered_name": registered}


def function(name: str, module: str | None = "builtins", registered: str = "function") -> Config:
    return {"module": module, "class_name": "function", "config": name, "registered_name": registered}


HONEST: list[Config] = [
    layer("InputLayer", batch_shape=[None, 4]),
    layer(
        "Dense", units=3, activation="relu", kernel_initializer=layer("GlorotUniform", "keras.initializers", seed=None)
    ),
    layer("Dense", activation=function("relu")),
    layer("Relu", "keras.src.ops.nn", "Relu", name="relu"),
    layer("Functional", "keras.src.models.functional", "Functional"),
    layer("Dense", None, units=3),
    layer("DTypePolicy", "keras", name="float32"),
    layer("Adam", "keras.optimizers", learning_rate=layer("ExponentialDecay", "keras.optimizers.schedules")),
    layer("mean_squared_error", "keras.losses"),
    layer("TextVectorization", vocabulary=None),
    layer("StringLookup", vocabulary=["a", "b"]),
    {
        "class_name": "__keras_tensor__",
        "config": {"shape": [None, 1], "dtype": "float32", "keras_history": ["a", 0, 0]},
    },
    layer("BERTBackbone", "keras_nlp.src.models.bert"),
]


@pytest.mark.parametrize("place", HONEST, ids=lambda p: str(p["class_name"]))
def test_keras_own_objects_are_safe(place: Config) -> None:
    report = scan_bytes(keras(place), "m.keras")
    assert (report.format, report.verdict, report.findings) == ("keras", Verdict.SAFE, ())


HARMFUL: dict[str, Config] = {
    "CVE-2024-3660, code of a lambda": layer("Lambda", function=[code_of("__import__('os').system('x')"), None, None], function_type="lambda"),
    "the same in version 3": layer("Lambda", function={"class_name": "__lambda__", "config": {"code": code_of("exec('x')"), "defaults": None}}),
    "the same as the loader wants it": {"class_name": "__lambda__", "config": {"value": [code_of("open('x')"), None, None]}},
    "code that gives the shape of the output": layer("Lambda", function="relu", output_shape=[code_of("exec('x')")], output_shape_type="lambda"),
    "code that masks": layer("Lambda", function="relu", mask=code_of("exec('x')"), mask_type="lambda"),
    "code that is cut off": layer("Lambda", function=[code_of("x * 2")[:40], None, None]),
    "code that Python never wrote": {"class_name": "__lambda__", "config": {"code": "4wEA"}},
    "code that goes through types": layer("Lambda", function=[code_of("().__class__.__base__.__subclasses__()"), None, None]),
    "CVE-2025-1550, a function of any module": function("system", "os"),
    "as a layer": layer("system", "os"),
    "as a registered name": function("x", "subprocess", "check_output"),
    "a class of Python's library": layer("Popen", "subprocess", args=["x"]),
    "a harmless-looking part of Python's library": layer("WSGIServer", "wsgiref.simple_server"),
    "a function of Python's own": function("eval", "builtins"),
    "another one": function("setattr", "builtins"),
    "CVE-2025-8747, a tool of Keras": function("get_file", "keras.utils"),
    "under its real name": layer("get_file", "keras.src.utils.file_utils"),
    "of tf.keras": layer("get_file", "tf_keras.utils"),
    "of TensorFlow": layer("get_file", "tensorflow.keras.utils"),
    "CVE-2025-9906, safe mode off": function("enable_unsafe_deserialization", "keras.config"),
    "under its real name too": function("enable_unsafe_deserialization", "keras.src.saving.serialization_lib"),
    "a tool deep within": function("anything", "keras.src.legacy.saving.saving_utils"),
    "another model is loaded": function("load_model", "keras.models"),
    "a model by its configuration": function("model_from_json", "keras.src.models.model"),
    "CVE-2025-12058, a file as vocabulary": layer("StringLookup", vocabulary="/etc/passwd"),
    "an address as vocabulary": layer("TextVectorization", vocabulary="https://a.example/x"),
    "a TensorFlow model elsewhere": layer("TFSMLayer", filepath="/tmp/x"),
    "CVE-2025-49655, a pickle": layer("TorchModuleWrapper", module=base64.b64encode(TOUCHES).decode()),
    "an operator that writes files": layer("TFOpLambda", "keras.layers", function="io.write_file"),
    "an operator that runs Python": layer("TFOpLambda", "keras.src.layers.core.tf_op_layer", function="numpy_function"),
    "deep inside": layer("Dense", kernel_regularizer=layer("L2", "keras.regularizers", x=[{"y": function("system", "posix")}])),
    "as a type of TensorFlow": {"class_name": "__typespec__", "spec_name": "Popen", "module": "subprocess", "config": [], "registered_name": None},
}  # fmt: skip


@pytest.mark.parametrize("place", HARMFUL.values(), ids=HARMFUL.keys())
def test_what_reaches_code_files_or_networks_is_unsafe(place: Config) -> None:
    assert scan_bytes(keras(place), "m.keras").verdict is Verdict.UNSAFE
    assert scan_bytes(keras(compile_config={"loss": place}), "m.keras").verdict is Verdict.UNSAFE


@pytest.mark.parametrize(
    "place",
    [
        layer("Own", None, "mine>Own"), layer("Own", "mine.layers"), layer("Own", "__main__"), function("own", "mine"),
        layer("Lambda", function=[code_of("x * 2"), None, None]), layer("Thing", "keras.src.thing"), layer("Own", 5),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_code_that_is_elsewhere_or_only_calculates_is_unknown(place: Config) -> None:
    assert scan_bytes(keras(place), "m.keras").verdict is Verdict.UNKNOWN


@pytest.mark.parametrize(
    "source",
    [
        "os.system('x')",
        "x.popen(y).read()",
        "exec(x)",
        "eval(eval(x))",
        "[open(y) for y in x]",
        "(lambda z: z.system('x'))(x)",
    ],
)
def test_names_by_which_code_does_harm_are_found_wherever_they_stand(source: str) -> None:
    """What follows a name in marshalled code may look like a part of it."""
    for function in ([code_of(source), None, None], code_of(source)):
        assert scan_bytes(keras(layer("Lambda", function=function)), "m.keras").verdict is Verdict.UNSAFE


@pytest.mark.parametrize("module", ["os", "subprocess", "posixpath"])
def test_names_of_pythons_modules_for_a_lambda_are_unsafe(module: str) -> None:
    """Old versions have the function see what is in `module`, whatever word it is named by."""
    place = layer("Lambda", None, function="relu", function_type="function", module=module)
    assert scan_bytes(keras(place), "m.keras").verdict is Verdict.UNSAFE
    assert (
        scan_bytes(keras(layer("Lambda", None, function="relu", module="keras.src.activations")), "m.keras").verdict
        is Verdict.SAFE
    )


def test_code_in_a_tuple_of_a_saved_model_is_read() -> None:
    place = layer(
        "Lambda",
        None,
        function={"class_name": "__tuple__", "items": [code_of("os.system('x')"), None, None]},
        function_type="lambda",
    )
    assert scan_bytes(keras(place), "m.keras").verdict is Verdict.UNSAFE


@pytest.mark.parametrize("name", ["config.json", "architecture.json"])
def test_a_description_without_weights_is_judged(name: str) -> None:
    """`model_from_json`, and repositories that hold a model unpacked."""
    for place, expected in (
        (layer("Lambda", function=[code_of("os.system('x')"), None, None]), Verdict.UNSAFE),
        (function("system", "os"), Verdict.UNSAFE),
        (layer("Dense", None, units=2), Verdict.SAFE),
        (layer("NotEqual", None), Verdict.SAFE),
    ):
        document = {"class_name": "Sequential", "config": {"layers": [place]}}
        assert scan_bytes(json.dumps(document).encode(), name).verdict is expected


def test_the_first_and_the_last_configuration_are_judged() -> None:
    harmful = json.dumps(layer("system", "os")).encode()
    honest = json.dumps(HONEST[0]).encode()
    for pair in ((harmful, honest), (honest, harmful)):
        found = ids(zipped(*(M(b"config.json", text) for text in pair), M(b"metadata.json", b"{}")), "m.keras")
        assert {"zip/double-member", "keras/runs-code"} <= found


def test_the_pickle_in_a_wrapper_is_read() -> None:
    assert "pickle/runs-a-program" in ids(keras(HARMFUL["CVE-2025-49655, a pickle"]), "m.keras")


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b'{"class_name": ' * 5000,
        b"9" * 10_000,
        b"\xff",
        b'{"class_name": "a", "class_name": "b"}',
    ],
)
def test_what_is_no_json_is_unknown(text: bytes) -> None:
    assert scan_bytes(zipped(M(b"config.json", text), M(b"metadata.json", b"{}")), "m.keras").verdict is Verdict.UNKNOWN


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.sampled_from(["Lambda", "function", "__lambda__", "os", "keras.layers", "TFSMLayer", ""]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["class_name", "config", "module", "registered_name", "function", "vocabulary", "code"]),
            inner,
            max_size=5,
        )
    ),
    max_leaves=20,
)


@given(JSON)
@settings(max_examples=300, deadline=None)
def test_no_configuration_makes_it_raise(config: Any) -> None:
    scan = Scan(Limits(), read_all)
    judge_config(config, scan)
    assert verdict(scan.findings) in Verdict


@pytest.mark.parametrize(
    ("name", "expected"),
    [("Dense", Verdict.SAFE), ("adam", Verdict.SAFE), ("MyLayer", Verdict.UNKNOWN), ("Mine>MyLayer", Verdict.UNKNOWN)],
)
def test_classes_that_old_configurations_name_are_keras_own(name: str, expected: Verdict) -> None:
    """Without a module, the program has to give any other class to the loader."""
    scan = Scan(Limits(), read_all)
    judge_config({"class_name": "Sequential", "config": [{"class_name": name, "config": {"units": 1}}]}, scan)
    assert expected is verdict(scan.findings)

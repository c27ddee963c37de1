# SPDX-License-Identifier: Apache-2.0
"""Benign model files by the real libraries, as far as they are installed; what isn't there is said."""

from __future__ import annotations

import collections
import datetime
import decimal
import fractions
import functools
import pathlib
import pickle
import uuid
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Make = Callable[[Path], object]


def _pickled(value: Any, protocol: int = 4) -> Make:
    return lambda path: path.write_bytes(pickle.dumps(value, protocol))


def write(out: Path) -> Iterator[str]:
    """Writes all of them; yields what could not be written."""
    warnings.simplefilter("ignore")
    for group in (_python, _numpy, _pandas, _sklearn, _boosting, _functions, _torch, _others):
        try:
            named = list(group())
        except ImportError as missing:
            yield f"{group.__name__[1:]}: {missing}"
            continue
        for name, make in named:
            try:
                make(out / name)
            except Exception as problem:  # noqa: BLE001 - libraries differ by version in what they can write
                yield f"{name}: {type(problem).__name__}: {problem}"


def _python() -> Iterator[tuple[str, Make]]:
    values: dict[str, Any] = {
        "plain": {"a": [1, 2.5, None, True, b"x", "y"], "t": (1, (2, 3)), "s": {1, 2}},
        "times": [datetime.datetime.now(), datetime.date.today(), datetime.timedelta(3), datetime.UTC],
        "numbers": [decimal.Decimal("1.5"), fractions.Fraction(1, 3), uuid.uuid4(), 1j, range(3), slice(1, 2)],
        "collections": [collections.OrderedDict(a=1), collections.defaultdict(int, {1: 2}), collections.Counter("ab"), collections.deque([1])],
        "paths": [pathlib.PurePosixPath("/x"), bytearray(b"12"), ...],
    }  # fmt: skip
    for name, value in values.items():
        for protocol in range(6):
            yield f"python-{name}-{protocol}.pkl", _pickled(value, protocol)


def _numpy() -> Iterator[tuple[str, Make]]:
    import numpy as np

    arrays: dict[str, Any] = {
        "float": np.eye(9), "text": np.array(["a", "bc"]), "times": np.array(["2020-01-01"], "M8[D]"),
        "record": np.zeros(3, [("a", "i4"), ("b", "f8", (2,))]),
        "objects": np.array([{"a": 1}, None, "x"], object), "scalar": np.float32(3), "type": np.dtype("f4"),
        "fortran": np.asfortranarray(np.eye(4)),
        "masked": np.ma.array([1, 2], mask=[0, 1]), "generator": np.random.default_rng(3),
        "state": np.random.RandomState(3), "big": np.zeros(200_000),
    }  # fmt: skip
    for name, value in arrays.items():
        for protocol in (2, 4, 5):
            yield f"numpy-{name}-{protocol}.pkl", _pickled(value, protocol)
        if type(value) is np.ndarray:
            yield f"numpy-{name}.npy", functools.partial(np.save, arr=value, allow_pickle=True)
    yield "numpy.npz", lambda path: np.savez(path, a=np.eye(3), b=np.ones(2))
    yield "numpy-objects.npz", lambda path: np.savez_compressed(path, a=np.array([{"a": 1}], object))


def _pandas() -> Iterator[tuple[str, Make]]:
    import pandas as pd
    from scipy import sparse

    table = pd.DataFrame(
        {"a": [1, 2, 3], "b": list("xyz"), "c": pd.date_range("2020", periods=3), "d": pd.Categorical(list("aab"))}
    )
    values: dict[str, Any] = {
        "table": table, "column": table.a, "index": pd.MultiIndex.from_product([[1, 2], ["a"]]), "zone": table.c.dt.tz_localize("UTC"),
        "period": pd.period_range("2020", periods=3), "integer": pd.array([1, None], dtype="Int64"), "text": pd.array(["a"], dtype="string"),
        "interval": pd.interval_range(0, 3), "time": pd.Timestamp("2020"), "duration": pd.Timedelta("1d"),
    }  # fmt: skip
    values |= {
        kind: getattr(sparse, f"{kind}_matrix")(sparse.eye(5))
        for kind in ("csr", "csc", "coo", "lil", "dok", "bsr", "dia")
    }
    for name, value in values.items():
        yield f"pandas-{name}.pkl", _pickled(value)
        yield f"pandas-{name}-5.pkl", _pickled(value, 5)


def _sklearn() -> Iterator[tuple[str, Make]]:
    import joblib
    import numpy as np
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import GridSearchCV, KFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler
    from sklearn.utils import all_estimators

    x = np.abs(np.random.default_rng(0).normal(size=(60, 4)))
    y = (x[:, 0] > 0.6).astype(int)
    models: dict[str, Any] = {
        "pipeline": make_pipeline(StandardScaler(), LogisticRegression()).fit(x, y),
        "function": make_pipeline(FunctionTransformer(np.log1p)).fit(x),
        "search": GridSearchCV(LogisticRegression(), {"C": [1, 2]}, cv=KFold(3)).fit(x, y),
        "text": make_pipeline(TfidfVectorizer(), LogisticRegression()).fit(["a bb", "cc d"] * 5, [0, 1] * 5),
    }
    for name, estimator in all_estimators():
        try:
            models[name] = estimator().fit(x, y)
            pickle.dumps(models[name])
        except Exception:  # noqa: BLE001 - some want other data, some can't be pickled
            models.pop(name, None)
    for number, (name, model) in enumerate(models.items()):
        yield f"sklearn-{name}.pkl", _pickled(model)
        if number % 3 == 0:
            yield f"sklearn-{name}.joblib", lambda path, m=model: joblib.dump(m, path)
            yield f"sklearn-{name}-z.joblib", lambda path, m=model: joblib.dump(m, path, compress=3)
        if number % 30 == 0:
            for kind in ("gzip", "bz2", "xz", "lzma"):
                yield (
                    f"sklearn-{name}.joblib.{kind}",
                    lambda path, m=model, k=kind: joblib.dump(m, path, compress=(k, 3)),
                )


def _boosting() -> Iterator[tuple[str, Make]]:
    import catboost
    import joblib
    import lightgbm
    import numpy as np
    import xgboost

    x = np.random.default_rng(0).normal(size=(60, 4))
    y = (x[:, 0] > 0).astype(int)
    models: dict[str, Any] = {
        "xgboost": xgboost.XGBClassifier(n_estimators=3).fit(x, y), "xgboost-r": xgboost.XGBRegressor(n_estimators=3).fit(x, x[:, 1]),
        "lightgbm": lightgbm.LGBMClassifier(n_estimators=3, verbose=-1).fit(x, y),
        "catboost": catboost.CatBoostClassifier(iterations=3, verbose=0, allow_writing_files=False).fit(x, y),
    }  # fmt: skip
    for name, model in models.items():
        for protocol in (2, 4, 5):
            yield f"{name}-{protocol}.pkl", _pickled(model, protocol)
        yield f"{name}.joblib", lambda path, m=model: joblib.dump(m, path)
    yield "xgboost.json", lambda path: models["xgboost"].save_model(str(path))
    yield "xgboost.ubj", lambda path: models["xgboost"].save_model(str(path))
    yield "lightgbm.txt", lambda path: models["lightgbm"].booster_.save_model(str(path))
    yield "catboost.cbm", lambda path: models["catboost"].save_model(str(path))


def _functions() -> Iterator[tuple[str, Make]]:
    import cloudpickle
    import dill

    values: dict[str, Any] = {"dict": {"a": 1}, "lambda": lambda z: z + 1, "partial": functools.partial(int, base=2)}
    for name, value in values.items():
        yield f"dill-{name}.dill", lambda path, v=value: path.write_bytes(dill.dumps(v))
        yield f"cloudpickle-{name}.pkl", lambda path, v=value: path.write_bytes(cloudpickle.dumps(v))


def _torch() -> Iterator[tuple[str, Make]]:
    import torch
    from torch import nn

    net = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.BatchNorm1d(8), nn.Dropout(), nn.Linear(8, 2))
    values: dict[str, Any] = {
        "state": net.state_dict(), "module": net, "half": torch.ones(3, dtype=torch.float16), "bfloat": torch.ones(2, dtype=torch.bfloat16),
        "checkpoint": {"model": net.state_dict(), "optimiser": torch.optim.Adam(net.parameters()).state_dict(), "epoch": 3},
        "parameter": nn.Parameter(torch.ones(2)), "sparse": torch.eye(3).to_sparse(), "rnn": nn.LSTM(3, 4), "device": torch.device("cpu"),
        "transformer": nn.TransformerEncoderLayer(8, 2), "embedding": nn.Embedding(10, 3), "complex": torch.ones(2, dtype=torch.complex64),
    }  # fmt: skip
    for name, value in values.items():
        yield f"torch-{name}.pt", lambda path, v=value: torch.save(v, path)
        yield f"torch-{name}-old.pt", lambda path, v=value: torch.save(v, path, _use_new_zipfile_serialization=False)
        yield f"torch-{name}.pkl", _pickled(value)
    yield "torch-script.pt", lambda path: torch.jit.save(torch.jit.script(net), str(path))


def _others() -> Iterator[tuple[str, Make]]:
    import numpy as np
    import skops.io
    from safetensors.numpy import save_file
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression().fit([[0.0], [1.0]], [0, 1])
    yield "model.skops", lambda path: skops.io.dump(model, path)
    yield "model.safetensors", lambda path: save_file({"a": np.eye(3)}, str(path))

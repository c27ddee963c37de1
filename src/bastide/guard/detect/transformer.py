# SPDX-License-Identifier: Apache-2.0
"""The second model: the fine-tuned MiniLM that the package `stackone-defender` ships, run by ONNX Runtime from its installed files.

Nothing is fetched and nothing is unpickled: the weights are an ONNX graph, the tokenizer is JSON. The package's own code isn't imported.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path
from threading import BoundedSemaphore, Lock
from typing import Any

_MODEL = Path("models") / "minilm-multihead-v5"
TOKENS, STEP = 200, 160
"""Tokens of a window, and from one window's start to the next one's."""
MOST = 8
"""Windows of one text that are read."""
_CHARACTERS = 40_000


def folder() -> Path | None:
    """Where the model's files are; None when the extra `onnx` isn't installed."""
    if find_spec("onnxruntime") is None or find_spec("tokenizers") is None:
        return None
    spec = find_spec("stackone_defender")
    for place in (spec.submodule_search_locations or ()) if spec else ():
        found = Path(place) / _MODEL
        if (found / "model_quantized.onnx").is_file() and (found / "tokenizer.json").is_file():
            return found
    return None


class Transformer:
    """Answers for a bounded number of threads at a time; a caller who finds no place is told so at once and doesn't wait."""

    def __init__(self, path: Path, places: int = 2) -> None:
        """`places`: texts that may be looked at at the same time."""
        self._path = path
        self._places = BoundedSemaphore(places)
        self._lock = Lock()
        self._loaded: tuple[Any, Any] | None = None

    def _load(self) -> tuple[Any, Any]:
        with self._lock:
            if self._loaded is None:
                import onnxruntime  # type: ignore[import-untyped,unused-ignore]
                from tokenizers import Tokenizer

                options = onnxruntime.SessionOptions()
                options.intra_op_num_threads = options.inter_op_num_threads = 1
                options.log_severity_level = 3
                session = onnxruntime.InferenceSession(
                    str(self._path / "model_quantized.onnx"), options, providers=["CPUExecutionProvider"]
                )
                tokenizer = Tokenizer.from_file(str(self._path / "tokenizer.json"))
                tokenizer.no_padding()
                tokenizer.no_truncation()
                self._loaded = session, tokenizer
            return self._loaded

    def logit(self, text: str) -> float | None:
        """The largest of the main output over the windows of a text (the auxiliary one adds nothing); None when all places are taken."""
        if not self._places.acquire(blocking=False):
            return None
        try:
            return self._logit(text)
        finally:
            self._places.release()

    def _logit(self, text: str) -> float:
        import numpy as np

        session, tokenizer = self._loaded or self._load()
        printable = text[:_CHARACTERS].encode("utf-8", "replace").decode("utf-8")
        ids = tokenizer.encode(printable, add_special_tokens=False).ids
        first, last = tokenizer.token_to_id("[CLS]"), tokenizer.token_to_id("[SEP]")
        best = -99.0
        for start in starts(len(ids)):
            window = np.array([[first, *ids[start : start + TOKENS], last]], np.int64)
            outputs = session.run(None, {"input_ids": window, "attention_mask": np.ones_like(window)})
            best = max(best, float(outputs[0][0][0]))
        return best


def starts(tokens: int) -> range:
    """Where the windows of so many tokens start; at most `MOST`."""
    return range(0, min(max(tokens - (TOKENS - STEP), 1), MOST * STEP), STEP)


@cache
def installed() -> Transformer | None:
    """The model, shared by all cascades of the process; None when it isn't installed."""
    path = folder()
    return Transformer(path) if path else None

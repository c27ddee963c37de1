# SPDX-License-Identifier: Apache-2.0
"""`pickle_module_info.txt` of PyTorch's flavour of MLflow: the name of a module that is imported to load the pickle beside it.

Source: `mlflow.pytorch._load_model`.
"""

from __future__ import annotations

from bastide.verify.artifacts.formats._targets import harmful
from bastide.verify.artifacts.interface import Scan, Source
from bastide.verify.artifacts.model import Severity, Tier

NAME = "pickle_module_info.txt"
OWN = frozenset({"mlflow.pytorch.pickle_module", "pickle", "cloudpickle", "dill"})
"""What MLflow writes, and the picklers that people hand to it; the pickle itself is judged where it stands."""


class MlflowModuleReader:
    """Reads the name."""

    format = "mlflow"

    def claims(self, source: Source) -> bool:
        """By its name."""
        return source.name.replace("\\", "/").rpartition("/")[2] == NAME

    def read(self, source: Source, scan: Scan) -> None:
        """Whether it is a module of whose import nothing else is known."""
        name = source.head(1000).decode("utf-8", "replace").strip()
        if name in OWN:
            return
        effect = harmful(f"{name}.x")
        what = (
            f"has MLflow import a module that {effect}"
            if effect
            else "has MLflow import a module, whose code isn't in the file"
        )
        scan.add(
            "mlflow/pickle-module", Tier.EXECUTES if effect else Tier.POLICY, Severity.HIGH if effect else Severity.MEDIUM,
            f"{what}, and load the model with it", 0, name[:200],
        )  # fmt: skip

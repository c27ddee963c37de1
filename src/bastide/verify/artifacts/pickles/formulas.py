# SPDX-License-Identifier: Apache-2.0
"""Models of statsmodels that were made by a formula: loading one has patsy or formulaic evaluate the formula again, as Python."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from bastide.verify.artifacts.model import Severity, Tier
from bastide.verify.artifacts.pickles.values import Items, Value

if TYPE_CHECKING:
    from bastide.verify.artifacts.pickles.judge import Judge

DATA = "statsmodels.base.data."
"""Where the classes are that do it, when their state has one of these."""
RESTORES = frozenset({"restore_design_info", "restore_model_spec"})
_PLAIN = re.compile(r"[\w\s~+*:/^|().,<>=\-\[\]'\"]{0,10000}\Z")
_CALLS = re.compile(r"([\w.]*\w)\s*\(")
KNOWN = frozenset(
    ["C", "I", "Q", "bs", "center", "cr", "log", "np.exp", "np.log", "np.log10", "np.log1p", "np.power", "np.sqrt", "poly", "scale", "te"]
)  # fmt: skip
"""What formulas call all the time."""


def check_formula(judge: Judge, state: Value, offset: int) -> None:
    """What giving such an object its state evaluates."""
    if not isinstance(state, Items):
        judge.put(
            "evaluates-a-formula", Tier.EXECUTES, Severity.HIGH, offset, "",
            "gives a model of statsmodels a state that isn't written as one: a formula in it is evaluated as Python while it is loaded",
        )  # fmt: skip
    elif not RESTORES.isdisjoint(state.of):
        text = judge.machine.text(state.of["formula"]) if judge.machine and "formula" in state.of else None
        formula = text[0] if text and not text[1] else ""
        called = set(_CALLS.findall(formula))
        harmless = bool(formula) and "__" not in formula and _PLAIN.match(formula) is not None and called <= KNOWN
        judge.put(
            "evaluates-a-formula", Tier.POLICY if harmless else Tier.EXECUTES, Severity.LOW if harmless else Severity.HIGH, offset, formula,
            "has statsmodels evaluate a formula as Python while it is loaded" + ("" if harmless else ": this one may call anything"),
        )  # fmt: skip

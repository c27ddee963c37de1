# SPDX-License-Identifier: Apache-2.0
"""Charts that a chart, a release or an application takes from elsewhere: what they hold isn't here, but what they are given is. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from bastide.discover.model import Resource, Value

TYPE = "helm/dependency"


def from_elsewhere(chart: Resource, given: Iterable[Value]) -> Resource:
    """The chart with its values as `env`: each under its path, and variables of containers under their names."""
    env: dict[str, Value] = {}
    for values in given:
        env |= {**dict(values.leaves()), **dict(_variables(values))}
    body = chart.body.data if isinstance(chart.body.data, Mapping) else {}
    return replace(chart, body=replace(chart.body, data={**body, "env": Value(env, chart.place)}))


def _variables(values: Value) -> Iterator[tuple[str, Value]]:
    """Wherever charts take them: `extraEnvVars: [{name: A, value: b}]`."""
    todo = [values]
    while todo:
        data = todo.pop().data
        if isinstance(data, Mapping) and {"name", "value"} <= data.keys() and isinstance(data["name"].data, str):
            yield data["name"].data, data["value"]
        todo += data.values() if isinstance(data, Mapping) else data if isinstance(data, tuple) else ()

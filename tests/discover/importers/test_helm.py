# SPDX-License-Identifier: Apache-2.0
"""Charts by their values."""

from __future__ import annotations

from bastide.discover.importers.helm import Helm
from bastide.discover.interface import Tree
from bastide.discover.model import Reading, State

CHART = "name: search\nappVersion: 2.0.1\ndependencies:\n  - {name: redis, version: 1.2.3, repository: https://charts.example}\n"
VALUES = """\
image: {repository: qdrant/qdrant, tag: ""}
service: {type: LoadBalancer, port: 6333}
ingress:
  enabled: true
  hosts: [{host: search.example}]
ui:
  image: {registry: ghcr.io, repository: org/ui, tag: 1.0.0}
  extraEnv:
    - {name: TOKEN, valueFrom: {secretKeyRef: {name: s, key: k}}}
    - {name: MODE, value: prod}
off:
  enabled: false
  image: {repository: x/y, tag: z}
"""


def reading(**more: str) -> Reading:
    """The reading of the chart."""
    files = {"c/Chart.yaml": CHART, "c/values.yaml": VALUES, **{f"c/templates/{k}.yaml": v for k, v in more.items()}}
    tree = Tree(tuple(sorted(files)), files.get, dict.fromkeys(files, 1))
    return Helm().read(tree, [f for f in tree.files if Helm().wants(f, lambda: "")])


def test_every_image_in_the_values_is_a_container() -> None:
    """With its version, also that of the chart; what is switched off isn't there."""
    found = {r.name: r for r in reading().resources if r.type == "container"}
    assert set(found) == {"search", "search-ui"}
    image = found["search"].body.data["image"]
    assert (image.data, image.state, image.place.line) == ("qdrant/qdrant:2.0.1", State.CONDITIONAL, 1)
    assert found["search-ui"].body.data["image"].data == "ghcr.io/org/ui:1.0.0"
    assert found["search-ui"].find("env.MODE")[0].data == "prod"
    assert found["search-ui"].find("env.TOKEN")[0].refs == ("secret:TOKEN",)


def test_what_templates_may_add_is_unknown() -> None:
    """A variable that the values don't set isn't absent, and a chart with templates makes the result incomplete."""
    container = next(r for r in reading().resources if r.name == "search-ui")
    assert [v.known for v in container.find("env.ANYTHING")] == [False]
    assert reading().problems == ()
    assert [p.hides for p in reading(deployment="{{ x }}").problems] == [True]


def test_services_ingresses_and_other_charts() -> None:
    """They lead to the container of their values."""
    found = {r.type: r for r in reading().resources if r.type != "container"}
    assert found["kubernetes/Service"].find("targets")[0].refs == ("c: values",)
    assert found["kubernetes/Ingress"].find("spec.rules.host")[0].data == "search.example"
    assert found["helm/dependency"].name == "redis"

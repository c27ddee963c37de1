# SPDX-License-Identifier: Apache-2.0
"""What Compose runs on a laptop and a cluster in earnest is one thing."""

from __future__ import annotations

from pathlib import Path

from bastide.discover.discover import discover
from bastide.discover.result import Discovery, Found

COMPOSE = """
services:
  shop:
    build: ./api
    ports: ["8000:8000"]
    environment: {DATABASE_URL: "postgresql://store/db", SECRET_KEY: letmein}
    volumes: ["./api:/code"]
    depends_on: [store]
  store:
    image: postgres:16
    ports: ["5432:5432"]
"""
DEPLOYED = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: shop-api}
spec:
  selector: {matchLabels: {app: shop-api}}
  template:
    metadata: {labels: {app: shop-api}}
    spec:
      containers: [{name: api, image: ghcr.io/example/api:1.2, ports: [{containerPort: 8000}]}]
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: store}
spec:
  selector: {matchLabels: {app: store}}
  template:
    metadata: {labels: {app: store}}
    spec:
      containers: [{name: store, image: "docker.io/library/postgres:15", ports: [{containerPort: 5432}]}]
"""


def found(folder: Path, compose: str = COMPOSE, deployed: str = DEPLOYED) -> Discovery:
    (folder / "api").mkdir()
    (folder / "api" / "Dockerfile").write_text("FROM python:3.12\nCMD python main.py\n")
    (folder / "compose.yaml").write_text(compose)
    if deployed:
        (folder / "k8s").mkdir()
        (folder / "k8s" / "all.yaml").write_text(deployed)
    return discover(folder)


def of_kind(one: Discovery, kind: str) -> list[Found]:
    return [c for c in one.components.values() if c.kind == kind]


def test_what_is_deployed_and_run_locally_is_one(tmp_path: Path) -> None:
    (app,) = of_kind(one := found(tmp_path), "app.api")
    (store,) = of_kind(one, "data.database")
    assert {p.file for p in app.provenance} >= {"compose.yaml", "k8s/all.yaml"}
    assert {p.file for p in store.provenance} >= {"compose.yaml", "k8s/all.yaml"}
    assert [f.id for f in one.flows if f.source == app.id] == [f"{app.id}->{store.id}:calls"]


def test_how_it_runs_locally_is_no_fact_of_the_deployed(tmp_path: Path) -> None:
    (app,) = of_kind(found(tmp_path), "app.api")
    assert app.facts["runs-on"].value == "kubernetes"
    assert app.facts["published"].value == "cluster"
    assert "host-mount" not in app.facts
    assert "constant-secret" not in app.facts


def test_what_only_compose_runs_is_as_it_stands_there(tmp_path: Path) -> None:
    (app,) = of_kind(found(tmp_path, deployed=""), "app.api")
    assert app.facts["published"].value == "every-interface"
    assert app.facts["host-mount"].value is True


def test_several_of_one_folder_are_several(tmp_path: Path) -> None:
    worker = COMPOSE + "  worker:\n    build: ./api\n    command: python worker.py\n"
    assert len(of_kind(found(tmp_path, compose=worker), "app.api")) == 2

# SPDX-License-Identifier: Apache-2.0
"""Applications around models as people host them themselves."""

from __future__ import annotations

from pathlib import Path

import pytest

from bastide.discover.discover import discover
from bastide.discover.result import Discovery


def found(folder: Path, text: str, name: str = "compose.yaml") -> Discovery:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return discover(folder)


def flows(one: Discovery) -> set[str]:
    return {f.id for f in one.flows}


def test_a_password_from_outside_hides_no_host(tmp_path: Path) -> None:
    """`postgresql://${USER}:${PASSWORD}@rows/db` names a host, whatever the password is."""
    one = found(
        tmp_path,
        """services:
  api:
    image: example/api:1.0.0
    environment: {DATABASE_URL: "postgresql://${DB_USER}:${DB_PASSWORD}@rows:5432/app"}
  rows: {image: "postgres:17.2"}
""",
    )
    assert "api->rows:calls" in flows(one)


@pytest.mark.parametrize(
    ("environment", "uses"), [('{DATABASE_URL: "${DATABASE_URL}"}', True), ('{MODE: "quick"}', False)]
)
def test_who_waits_for_a_store_may_use_it(tmp_path: Path, environment: str, uses: bool) -> None:
    """Where the address may stand in what isn't known. Who waits for another program needn't call it."""
    one = found(
        tmp_path,
        f"""services:
  api:
    image: example/api:1.0.0
    environment: {environment}
    depends_on: {{rows: {{condition: service_healthy}}, other: {{condition: service_started}}}}
  rows: {{image: "postgres:17.2"}}
  other: {{image: "example/other:1.0.0"}}
""",
    )
    assert flows(one) == ({"api->rows:calls"} if uses else set())


def test_what_stands_behind_a_store_is_the_stores(tmp_path: Path) -> None:
    one = found(
        tmp_path,
        """services:
  api:
    image: example/api:1.0.0
    environment: {STORE_URL: "${STORE_URL}"}
    depends_on: [vectors, keys]
  vectors: {image: "milvusdb/milvus:v2.6.0", environment: {ETCD_ENDPOINTS: "keys:2379"}}
  keys: {image: "coreos/etcd:v3.5.25"}
""",
    )
    assert flows(one) == {"api->vectors:calls", "vectors->keys:calls"}


@pytest.mark.parametrize(
    ("mount", "folder"),
    [("./proxy.yaml:/app/config.yaml", None), ("./shared:/data", True), ("/etc/app.yaml:/app/config.yaml", True)],
)
def test_one_settings_file_is_no_folder_of_the_host(tmp_path: Path, mount: str, folder: bool | None) -> None:
    one = found(
        tmp_path, f'services:\n  flows: {{image: "n8nio/n8n:1.100.0", ports: ["5678:5678"], volumes: ["{mount}"]}}\n'
    )
    fact = one.components["flows"].facts.get("host-mount")
    assert (fact.value if fact else None) is folder


def test_people_look_at_pages_however_they_come_to_them(tmp_path: Path) -> None:
    one = found(tmp_path, 'services:\n  chat: {image: "ghcr.io/open-webui/open-webui:v0.6.22"}\n')
    assert "user->chat:calls" in flows(one)


CHART = """apiVersion: v2
name: helper
version: 1.0.0
dependencies:
  - {name: postgresql, version: 16.x, repository: "https://charts.example", condition: postgresql.enabled}
  - {name: redis, version: 20.x, repository: "https://charts.example", condition: redis.enabled}
"""
TEMPLATE = """apiVersion: apps/v1
kind: Deployment
metadata: {name: helper}
spec:
  template:
    spec:
      containers:
        - name: helper
          image: example/helper:1.0.0
          env: [{name: DB_HOST, value: "{{ .Release.Name }}-postgresql"}]
"""


def test_charts_from_elsewhere_are_known_by_name(tmp_path: Path) -> None:
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "app.yaml").write_text(TEMPLATE)
    (tmp_path / "values.yaml").write_text("postgresql: {enabled: true}\nredis: {enabled: false}\n")
    one = found(tmp_path, CHART, "Chart.yaml")
    assert {c.kind for c in one.components.values()} == {"app.worker", "data.database"}
    assert flows(one) == {"helper->postgresql:calls"}


def test_a_release_of_a_chart(tmp_path: Path) -> None:
    release = """apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {name: models, namespace: ai}
spec: {chart: {spec: {chart: ollama, version: 1.x}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: chat, namespace: ai}
spec:
  template:
    spec:
      containers: [{name: chat, image: "ghcr.io/open-webui/open-webui:v0.6.22", env: [{name: OLLAMA_BASE_URL, value: "http://models.ai.svc:11434"}]}]
"""
    one = found(tmp_path, release, "release.yaml")
    assert {c.kind for c in one.components.values()} >= {"ai.model.server", "app.web"}
    assert "chat->ollama:calls" in flows(one)


@pytest.mark.parametrize(
    "inline",
    ["valuesObject: {ollamaUrls: [%s], extraEnvVars: [%s]}", "values: '{ollamaUrls: [%s], extraEnvVars: [%s]}'"],
)
def test_what_a_release_is_given_says_whom_it_calls_and_how_it_is_set(tmp_path: Path, inline: str) -> None:
    values = inline % ('"http://models.ai.svc.cluster.local:11434"', '{name: WEBUI_AUTH, value: "False"}')
    release = f"""apiVersion: helm.toolkit.fluxcd.io/v2
kind: HelmRelease
metadata: {{name: models, namespace: ai}}
spec: {{chart: {{spec: {{chart: ollama, version: 1.x}}}}}}
---
apiVersion: argoproj.io/v1alpha1
kind: Application
metadata: {{name: chat, namespace: argocd}}
spec:
  source:
    chart: open-webui
    helm:
      {values}
"""
    one = found(tmp_path, release, "release.yaml")
    assert "open-webui->ollama:calls" in flows(one)
    chat = next(c for c in one.components.values() if c.kind == "app.web")
    assert chat.facts["authentication"].value == "none"


def test_a_chart_gives_values_to_the_charts_that_it_takes(tmp_path: Path) -> None:
    chart = "name: stack\ndependencies: [{name: ollama, repository: 'https://a.example'}, {name: open-webui, repository: 'https://b.example'}]\n"
    (tmp_path / "values.yaml").write_text("open-webui:\n  ollamaUrls: [http://stack-ollama:11434]\n")
    one = found(tmp_path, chart, "Chart.yaml")
    assert "open-webui->ollama:calls" in flows(one)


WAITS = """services:
  backend:
    image: example/summaries:1.0
    depends_on: [llm-summary, mail, models]
    environment: {LLM_SERVICE_HOST_IP: "${LLM_SERVICE_HOST_IP}"}
    ports: ["8888:8888"]
  llm-summary: {image: "example/llm-summary:1.0", ports: ["9000:9000"]}
  mail: {image: "example/mail-service:1.0", ports: ["9001:9001"]}
  models: {image: "ollama/ollama:0.9.0"}
"""


def test_programs_call_the_programs_that_they_wait_for_and_name(tmp_path: Path) -> None:
    """A variable for an address that isn't known says the name; of a model server none has to."""
    assert flows(found(tmp_path, WAITS, "compose.yaml")) >= {"backend->llm-summary:calls", "backend->models:calls"}
    assert "backend->mail:calls" not in flows(found(tmp_path, WAITS, "compose.yaml"))


def test_khoj_without_accounts(tmp_path: Path) -> None:
    compose = "services:\n  server: {image: 'ghcr.io/khoj-ai/khoj:1.40', command: '--host=0.0.0.0 --anonymous-mode', ports: ['42110:42110']}\n"
    one = found(tmp_path, compose, "compose.yaml")
    assert {w.expectation for w in one.weaknesses if w.state == "fail"} == {"access/published-store-or-server"}


def test_speech_is_made_by_models(tmp_path: Path) -> None:
    compose = "services:\n  hear: {image: 'opea/whisper:1.3'}\n  say: {image: 'opea/speecht5:1.3'}\n"
    one = found(tmp_path, compose, "compose.yaml")
    assert {c.kind for c in one.components.values()} == {"ai.model.server"}


@pytest.mark.parametrize(
    ("api", "kinds"), [("kubeai.org/v1", {"ai.model.server", "ai.model"}), ("example.com/v1", set())]
)
def test_the_group_tells_kinds_of_one_name_apart(tmp_path: Path, api: str, kinds: set[str]) -> None:
    model = (
        f"apiVersion: {api}\nkind: Model\nmetadata: {{name: small}}\nspec: {{url: 'hf://org/small', engine: VLLM}}\n"
    )
    one = found(tmp_path, model, "model.yaml")
    assert {c.kind for c in one.components.values()} - {"actor.user"} == kinds


def test_services_are_found_across_folders(tmp_path: Path) -> None:
    """A name of a cluster doesn't depend on where its manifest lies; one in another namespace is another service."""
    store = """apiVersion: apps/v1
kind: StatefulSet
metadata: {name: rows, namespace: %s}
spec:
  template:
    metadata: {labels: {app: rows}}
    spec: {containers: [{name: rows, image: "postgres:17.2"}]}
---
apiVersion: v1
kind: Service
metadata: {name: rows, namespace: %s}
spec: {selector: {app: rows}}
"""
    user = """apiVersion: apps/v1
kind: Deployment
metadata: {name: %s, namespace: ai}
spec:
  template:
    spec: {containers: [{name: a, image: "example/%s:1.0.0", env: [{name: DB_HOST, value: %s}]}]}
"""
    found(tmp_path, store % ("ai", "ai"), "rows/rows.yaml")
    found(tmp_path, user % ("near", "near", "rows"), "near/near.yaml")
    found(tmp_path, user % ("other", "other", "rows.elsewhere"), "other/other.yaml")
    one = found(tmp_path, user % ("far", "far", "rows.ai.svc.cluster.local"), "far/far.yaml")
    assert flows(one) == {"near->rows:calls", "far->rows:calls"}


def test_traefik_sends_requests_to_whose_labels_say_so(tmp_path: Path) -> None:
    """Stacks of Swarm are read, whatever their file is called, and so are labels below `deploy`."""
    stack = """version: "3.7"
services:
  flows:
    image: n8nio/n8n:1.100.0
    deploy:
      labels: ["traefik.enable=true", "traefik.http.routers.flows.rule=Host(`flows.example`)"]
  rows:
    image: postgres:17.2
"""
    found(tmp_path, stack, "stacks/flows.yaml")
    proxy = 'services:\n  proxy:\n    image: traefik:v3.5.3\n    ports: ["443:443"]\n'
    one = found(tmp_path, proxy, "stacks/traefik.yaml")
    assert flows(one) == {"user->proxy:calls", "proxy->flows:calls"}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (".gitlab-ci.yml", "stages: [test]\nservices:\n  - postgres:17\ntest:\n  image: python:3.13\n"),
        ("services.yaml", "services:\n  App\\Handler:\n    arguments: ['@cache']\n"),
        (
            ".github/workflows/ci.yml",
            "on: push\njobs:\n  test:\n    services:\n      rows:\n        image: postgres:17\n",
        ),
    ],
)
def test_other_services_are_no_stack(tmp_path: Path, name: str, text: str) -> None:
    one = found(tmp_path, text, name)
    assert not any(c.kind.startswith("data") for c in one.components.values())
    assert not one.problems


@pytest.mark.parametrize(
    ("variable", "kinds"),
    [
        ("DB_HOST: postgresql-mlflow.data.svc.cluster.local", {"data.database"}),
        ("DB_HOST: mlflow-postgresql", {"data.database"}),
        ('DATABASE_URL: "postgresql+asyncpg://app:${DB_PASSWORD}@rows.data:5432/app"', {"data.database"}),
        ('QDRANT_URL: "http://vectors-qdrant:6333"', {"data.vector-store"}),
        ('OLLAMA_BASE_URL: "http://ollama.ai.svc:11434"', {"ai.model.server"}),
        ('OLLAMA_BASE_URL: "https://ollama.com"', set()),
        ('REDIS_URL: "redis://localhost:6379"', set()),
        ('POSTGRES_URL: "jdbc:h2:mem"', set()),
        ("POSTGRES_DB: postgres", set()),
    ],
)
def test_what_is_used_and_not_declared_is_known_by_its_host(tmp_path: Path, variable: str, kinds: set[str]) -> None:
    one = found(tmp_path, f"services:\n  api:\n    image: example/api:1.0.0\n    environment: {{{variable}}}\n")
    assert {c.kind for c in one.components.values()} - {"app.worker"} == kinds


def test_what_is_declared_somewhere_is_no_second_one(tmp_path: Path) -> None:
    found(tmp_path, 'services:\n  postgres: {image: "postgres:17.2"}\n', "rows/compose.yaml")
    one = found(
        tmp_path,
        "services:\n  api:\n    image: example/api:1.0.0\n    environment: {DB_HOST: postgres}\n",
        "api/compose.yaml",
    )
    assert [c.kind for c in one.components.values()].count("data.database") == 1


@pytest.mark.parametrize(
    ("value", "seen"),
    [
        ("stringData: {key: hunter2}", True),
        ("data: {key: aHVudGVyMg==}", True),
        ("stringData: {key: <key>}", False),
        ("data: {key: Q0hBTkdFX01F}", False),
    ],
)
def test_secrets_in_manifests_are_seen(tmp_path: Path, value: str, seen: bool) -> None:
    text = f"""apiVersion: v1
kind: Secret
metadata: {{name: keys}}
{value}
---
apiVersion: apps/v1
kind: Deployment
metadata: {{name: api}}
spec:
  template:
    spec:
      containers:
        - name: api
          image: example/api:1.0.0
          env: [{{name: DB_PASSWORD, valueFrom: {{secretKeyRef: {{name: keys, key: key}}}}}}]
"""
    one = found(tmp_path, text, "k8s.yaml")
    bad = [str(w.place) for w in one.weaknesses if w.expectation == "secrets/constant-secret"]
    assert bad == (["k8s.yaml:4"] if seen else [])


def test_a_port_for_everybody_counts_beside_one_for_the_host(tmp_path: Path) -> None:
    one = found(
        tmp_path, 'services:\n  files: {image: "minio/minio:1.0.0", ports: ["127.0.0.1:9001:9001", "9000:9000"]}\n'
    )
    assert one.components["files"].facts["published"].value == "every-interface"


def test_arguments_get_the_variables_of_their_container(tmp_path: Path) -> None:
    """`$(MODEL)` is what a ConfigMap says; a pod's own name leads to the service before it; a router is no model server."""
    text = """apiVersion: v1
kind: ConfigMap
metadata: {name: models, namespace: ai}
data: {MODEL: org/small, POOL: '["http://models-0.models.ai.svc:8000"]'}
---
apiVersion: apps/v1
kind: StatefulSet
metadata: {name: models, namespace: ai}
spec:
  template:
    metadata: {labels: {app: models}}
    spec:
      containers:
        - name: models
          image: vllm/vllm-openai:v0.10.1
          args: ["--model=$(MODEL)", "--served-model-name=$(ALIAS)"]
          envFrom: [{configMapRef: {name: models}}]
---
apiVersion: v1
kind: Service
metadata: {name: models, namespace: ai}
spec: {clusterIP: None, selector: {app: models}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: router, namespace: ai}
spec:
  template:
    spec:
      containers: [{name: router, image: "example/vllm-router:1.0.0", envFrom: [{configMapRef: {name: models}}]}]
"""
    one = found(tmp_path, text, "k8s.yaml")
    kinds = {c.id: c.kind for c in one.components.values()}
    assert kinds == {"models": "ai.model.server", "router": "ai.gateway", "org-small": "ai.model"}
    assert flows(one) == {"models->org-small:loads", "router->models:calls"}
    assert "authentication" not in one.components["router"].facts


@pytest.mark.parametrize(
    ("service", "called"),
    [
        ('image: example/chat:1.0.0, environment: {OPENAI_API_KEY: "${OPENAI_API_KEY}"}', True),
        ('image: example/chat:1.0.0, environment: {OPENAI_API_KEY: "${OPENAI_API_KEY:-}"}', False),
        ("image: example/chat:1.0.0, environment: {OPENAI_API_KEY: dummy}", False),
        ('image: example/chat:1.0.0, environment: {OPENAI_API_KEY: "${LITELLM_KEY}"}', False),
        (
            'image: example/chat:1.0.0, environment: {OPENAI_API_KEY: "${KEY}", OPENAI_API_BASE_URL: "http://models:8000"}',
            False,
        ),
        ('build: ., environment: {OPENAI_API_KEY: "${OPENAI_API_KEY}"}', False),
    ],
)
def test_a_key_in_a_finished_image_is_used_with_its_provider(tmp_path: Path, service: str, called: bool) -> None:
    one = found(tmp_path, f"services:\n  chat: {{{service}}}\n")
    assert ("chat->openai-api:calls" in flows(one)) is called


def test_the_name_of_what_is_built_here_is_no_tag_that_moves(tmp_path: Path) -> None:
    one = found(tmp_path, 'services:\n  chat: {image: chat, build: ., ports: ["8000:8000"]}\n')
    assert not [w for w in one.weaknesses if w.expectation == "supply/image-floating"]


@pytest.mark.parametrize(
    ("image", "kind"),
    [
        ("example/answers-ui:1.0.0", "app.web"),
        ("${REGISTRY:-example}/answers-ui:${TAG:-latest}", "app.web"),
        ("registry.example/team/frontend:1.0.0", "app.web"),
        ("example/answers:1.0.0", "app.api"),
        ("example/ui-tests-runner:1.0.0", "app.api"),
    ],
)
def test_an_image_called_a_front_end_is_a_page(tmp_path: Path, image: str, kind: str) -> None:
    """Only the end of its name says so, and only of what nothing else is known."""
    one = found(tmp_path, f'services:\n  one: {{image: "{image}", ports: ["5173:5173"]}}\n')
    assert [c.kind for c in one.components.values() if c.name == "one"] == [kind]


@pytest.mark.parametrize("environment", ['{CHAT_URL: "${BACKEND}"}', '{THEME: "dark"}'])
def test_a_page_calls_the_program_that_it_waits_for(tmp_path: Path, environment: str) -> None:
    """Its address is set at the start; without any address a page needn't call what it waits for."""
    one = found(
        tmp_path,
        f"""services:
  page: {{image: "example/answers-ui:1.0.0", ports: ["80:80"], environment: {environment}, depends_on: [answers]}}
  answers: {{image: "example/answers:1.0.0", ports: ["8888:8888"]}}
""",
    )
    assert ("page->answers:calls" in flows(one)) == ("BACKEND" in environment)

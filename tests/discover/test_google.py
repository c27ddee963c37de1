# SPDX-License-Identifier: Apache-2.0
"""Systems on Google Cloud: who may call, what identities add up to, what starts what."""

from __future__ import annotations

from pathlib import Path

from bastide.discover.discover import discover
from bastide.discover.result import Discovery

SERVICES = """\
resource "google_service_account" "run" { account_id = "run" }
resource "google_project_iam_member" "roles" {
  for_each = toset(["roles/cloudsql.client", "roles/iam.serviceAccountTokenCreator", "roles/aiplatform.user"])
  role     = each.key
  member   = "serviceAccount:${google_service_account.run.email}"
}
resource "google_cloud_run_v2_service" "front_end" {
  name = "front-end"
  template {
    service_account = google_service_account.run.email
    containers {
      image = "example/assistant-front-end:1.0"
      env {
        name  = "BACK"
        value = google_cloud_run_v2_service.back.uri
      }
    }
  }
}
resource "google_cloud_run_v2_service" "back" {
  name = "back"
  template {
    containers { image = "us-docker.pkg.dev/cloudrun/container/hello" }
  }
}
resource "google_cloud_run_v2_service_iam_member" "all" {
  name   = google_cloud_run_v2_service.front_end.name
  role   = "roles/run.invoker"
  member = "allUsers"
}
"""
EVENTS = """\
resource "google_storage_bucket" "docs" { name = "docs" }
resource "google_cloudfunctions2_function" "ingest" {
  name = "ingest"
  service_config { environment_variables = { INDEX = google_vertex_ai_index.docs.id } }
}
resource "google_vertex_ai_index" "docs" { display_name = "docs" }
resource "google_vertex_ai_index_endpoint" "docs" { public_endpoint_enabled = true }
resource "google_vertex_ai_index_endpoint_deployed_index" "docs" {
  index          = google_vertex_ai_index.docs.id
  index_endpoint = google_vertex_ai_index_endpoint.docs.id
}
resource "google_eventarc_trigger" "new" {
  matching_criteria {
    attribute = "bucket"
    value     = google_storage_bucket.docs.name
  }
  destination {
    cloud_run_service { service = google_cloudfunctions2_function.ingest.name }
  }
}
"""


def found_in(folder: Path, files: dict[str, str]) -> Discovery:
    """What is found in some files."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return discover(folder)


def test_roles_add_up(tmp_path: Path) -> None:
    """The widest of several roles counts, in whatever order they stand."""
    found = found_in(tmp_path, {"main.tf": SERVICES})
    assert found.components["run"].facts["privileges"].value == "broad"


def test_who_runs_as_an_identity_calls_what_it_may_call(tmp_path: Path) -> None:
    """Roles say what an identity may call; what calls is the service."""
    flows = {(f.source, f.target) for f in found_in(tmp_path, {"main.tf": SERVICES}).flows}
    assert ("front-end", "vertex-ai") in flows
    assert ("run", "vertex-ai") not in flows


def test_services_ask_unless_they_are_for_all(tmp_path: Path) -> None:
    """By default callers need a role; `allUsers` opens a service. The image of a placeholder isn't what will run."""
    found = found_in(tmp_path, {"main.tf": SERVICES}).components
    assert [found[i].facts["authentication"].value for i in ("front-end", "back")] == ["none", "iam"]
    assert found["back"].facts["image-pinned"].value is None


def test_a_folder_is_the_container_that_is_called_like_it(tmp_path: Path) -> None:
    """By the container's name or the end of its image's, when the folder is built into an image."""
    code = "from google import genai\nclient = genai.Client()\nclient.models.generate_content(model='gemini-x', contents='?')\n"
    built = found_in(
        tmp_path / "a", {"main.tf": SERVICES, "src/front_end/app.py": code, "src/front_end/Dockerfile": "FROM x:1\n"}
    )
    assert ("front-end", "gemini-x") in {(f.source, f.target) for f in built.flows}
    loose = found_in(tmp_path / "b", {"main.tf": SERVICES, "src/front_end/app.py": code})
    assert ("front-end", "gemini-x") not in {(f.source, f.target) for f in loose.flows}


def test_events_start_functions(tmp_path: Path) -> None:
    """A bucket's event starts what stands at the trigger's end; an index and the endpoint that serves it are one store."""
    found = found_in(tmp_path, {"main.tf": EVENTS})
    kinds = {c.kind: c for c in found.components.values()}
    assert set(kinds) == {"data.object-store", "app.worker", "data.vector-store"}
    assert kinds["data.vector-store"].facts["public-network-access"].value is True
    flows = {(f.source, f.target) for f in found.flows}
    assert flows == {
        (kinds[a].id, kinds[b].id)
        for a, b in (("data.object-store", "app.worker"), ("app.worker", "data.vector-store"))
    }


def test_nobody_comes_to_a_model_in_a_private_network(tmp_path: Path) -> None:
    """People come to a model that nothing here calls, but not through a private endpoint."""
    text = 'resource "azurerm_cognitive_account" "ai" {\n  kind = "OpenAI"\n  public_network_access_enabled = %s\n}\n'
    for public, people in (("true", 1), ("false", 0)):
        found = found_in(tmp_path / public, {"main.tf": text % public})
        assert sum(c.kind == "actor.user" for c in found.components.values()) == people


def test_names_from_before_the_split(tmp_path: Path) -> None:
    """Code with the names that libraries had before they were split."""
    code = (
        "from langchain.chat_models import AzureChatOpenAI\nfrom langchain.embeddings import OpenAIEmbeddings\n"
        "from llama_index import GPTVectorStoreIndex\nllm = AzureChatOpenAI(deployment_name='chat')\n"
        "embed = OpenAIEmbeddings(model='embed')\nindex = GPTVectorStoreIndex.from_documents([], embed)\nindex.storage_context.persist('x')\n"
    )
    found = found_in(tmp_path, {"app.py": code}).components.values()
    assert sorted(c.kind for c in found) == ["ai.embedder", "ai.model.endpoint", "data.vector-store"]

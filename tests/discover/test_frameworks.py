# SPDX-License-Identifier: Apache-2.0
"""Frameworks whose agents and chains stand in more than one call."""

from __future__ import annotations

from pathlib import Path

import pytest

from bastide.discover.discover import discover
from bastide.discover.result import Discovery

CREW = """
from crewai import Agent, Crew
from crewai.project import CrewBase, agent, crew
from crewai_tools import SerperDevTool

@CrewBase
class Research:
    agents_config = "config/people.yaml"

    @agent
    def reader(self) -> Agent:
        return Agent(config=self.agents_config["reader"], tools=[SerperDevTool()])

    @agent
    def writer(self) -> Agent:
        return Agent(config=self.agents_config["writer"], llm="openai/gpt-4.1")

    @crew
    def crew(self) -> Crew:
        return Crew(agents=self.agents, tasks=[])
"""
PEOPLE = "reader:\n  role: Reader of papers\n  llm: openai/gpt-4o\nwriter:\n  role: Writer\n  llm: openai/gpt-4o\n"


def found(folder: Path, **files: str) -> Discovery:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return discover(folder)


def test_agents_of_a_crew_are_described_beside_the_code(tmp_path: Path) -> None:
    one = found(tmp_path, crew_dot_py=CREW, config__people_dot_yaml=PEOPLE)
    assert {c.name for c in one.components.values() if c.kind == "ai.agent"} == {"Reader of papers", "Writer"}
    assert {f.id for f in one.flows} >= {
        "reader->openai-gpt-4o:calls",
        # What the code says counts.
        "writer->openai-gpt-4-1:calls",
        "research->reader:hands-off",
        "research->writer:hands-off",
        "reader->serperdevtool:invokes",
    }


@pytest.mark.parametrize("people", ["reader: [", "- 1\n", "reader: text\n", ""])
def test_a_crew_without_a_readable_description_is_a_crew(tmp_path: Path, people: str) -> None:
    one = found(tmp_path, crew_dot_py=CREW, config__people_dot_yaml=people)
    assert {c.id for c in one.components.values() if c.kind == "ai.agent"} == {"reader", "writer"}
    assert one.complete is (people != "reader: [")


def test_a_description_outside_of_the_folder_is_not_read(tmp_path: Path) -> None:
    (tmp_path / "people.yaml").write_text(PEOPLE)
    code = CREW.replace("config/people.yaml", "../people.yaml")
    one = found(tmp_path / "crew", crew_dot_py=code)
    assert {c.name for c in one.components.values() if c.kind == "ai.agent"} == {"reader", "writer"}


def test_parts_of_a_pipeline_are_called_by_it(tmp_path: Path) -> None:
    code = """
from haystack import Pipeline
from haystack.components.generators import OpenAIGenerator
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.components.embedders import SentenceTransformersTextEmbedder
from haystack.document_stores.in_memory import InMemoryDocumentStore
store = InMemoryDocumentStore()
answer = Pipeline()
answer.add_component("embedder", SentenceTransformersTextEmbedder(model="example/small"))
answer.add_component("retriever", InMemoryEmbeddingRetriever(store))
answer.add_component("llm", OpenAIGenerator(model="gpt-4o-mini"))
"""
    one = found(tmp_path, rag_dot_py=code)
    assert {
        (f.source, one.components[f.target].kind if f.source == "answer" else f.target, f.verb) for f in one.flows
    } == {
        ("answer", "ai.embedder", "calls"),
        ("answer", "ai.model.endpoint", "calls"),
        ("store", "answer", "retrieves"),
    }


@pytest.mark.parametrize(
    ("executor", "fails"),
    [("local import LocalCommandLineCodeExecutor", True), ("docker import DockerCommandLineCodeExecutor", False)],
)
def test_where_code_runs_is_said_by_its_executor(tmp_path: Path, executor: str, fails: bool) -> None:
    code = (
        f"from autogen_ext.code_executors.{executor} as Executor\nfrom autogen_agentchat.agents import AssistantAgent\n"
        "from autogen_ext.tools.code_execution import PythonCodeExecutionTool\n"
        "tool = PythonCodeExecutionTool(Executor(work_dir='w'))\nagent = AssistantAgent('coder', None, tools=[tool])\n"
    )
    failing = {w.expectation for w in found(tmp_path, app_dot_py=code).weaknesses if w.state == "fail"}
    assert ("agency/code-without-sandbox" in failing) is fails

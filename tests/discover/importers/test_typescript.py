# SPDX-License-Identifier: Apache-2.0
"""Calls and subclasses of TypeScript and JavaScript, as far as the text says them."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.discover.importers import kept
from bastide.discover.importers.typescript import TypeScript
from bastide.discover.interface import Tree
from bastide.discover.model import Reading, Resource, State

PACKAGES = frozenset({"openai", "ai", "@langchain/*", "@modelcontextprotocol/sdk"})
CLIENT = 'import OpenAI from "openai";\n'


def reading(files: dict[str, str]) -> Reading:
    """The reading of files in memory."""
    tree = Tree(tuple(sorted(files)), files.get, {f: len(t) for f, t in files.items()})
    importer = TypeScript(PACKAGES)
    return importer.read(tree, [f for f in tree.files if importer.wants(f, lambda: "")])


def calls(text: str, file: str = "app.ts", **others: str) -> dict[str, Resource]:
    """The calls in one file, by their type without `call/`; `others` are modules beside it."""
    found = reading({file: text, **{f"{k}.ts": v for k, v in others.items()}}).resources
    return {r.type.removeprefix("call/"): r for r in found if r.type.startswith("call/") and r.place.file == file}


@pytest.mark.parametrize(
    "text",
    [
        'import { OpenAI } from "openai";\nnew OpenAI().responses.create({});',
        'import { OpenAI as Client } from "openai";\nconst c = new Client();\nasync function f() { await c.responses.create({}); }',
        'import * as o from "openai";\nnew o.OpenAI().responses.create({});',
        'const { OpenAI } = require("openai");\nconst c = new OpenAI();\nc.responses.create({});',
        'const o = require("openai");\nnew o.OpenAI().responses.create({});',
        'async function f() { const { OpenAI } = await import("openai"); new OpenAI().responses.create({}); }',
        'import { OpenAI } from "openai";\nclass A { c = new OpenAI();\n f() { return this.c.responses.create({}); } }',
        'import { OpenAI } from "openai";\nclass A { constructor(private readonly c: OpenAI) {}\n f() { return this.c!.responses.create({}); } }',
        'import { OpenAI } from "openai";\nlet c: OpenAI | null;\nfunction get() { c ??= new OpenAI(); return c; }\nget().responses.create({});',
        'import type { OpenAI } from "openai";\nfunction f(c: OpenAI) { return c.responses.create({}); }',
        'import { c } from "./clients";\nimport "openai";\nc.responses.create({});',
        'import clients from "./clients.js";\nimport "openai";\nclients.responses.create({});',
        'import { c } from "./again";\nimport "openai";\n(c as any).responses.create({});',
        'import * as all from "@/again";\nimport "openai";\nall.c.responses.create({});',
    ],
)
def test_however_it_is_written_the_call_is_the_same(text: str) -> None:
    """Imports of all kinds, variables, fields, parameters with a type, objects that another module makes or hands on."""
    others = {
        "clients": 'import { OpenAI } from "openai";\nexport const c = new OpenAI();\nexport default c;',
        "again": 'export * from "./clients";\nexport * from "./again";',
    }
    assert "js:openai.OpenAI.responses.create" in calls(text, **others)


@pytest.mark.parametrize(
    ("expected", "state", "argument", "before"),
    [
        ("m", State.KNOWN, "'m'", ""),
        ("m", State.KNOWN, "M", "const M = 'm' as const;"),
        ("m-1", State.KNOWN, "`${M}-${1}`", "const M = 'm';"),
        ("m-x", State.KNOWN, "M + '-x'", "const M = 'm';"),
        ("m", State.KNOWN, "config.chat.model", "const config = { chat: { model: 'm' } };"),
        (["a", "b"], State.KNOWN, "['a', 'b']", ""),
        ({"k": "v", "l": 1}, State.KNOWN, "{ ...base, l: 1 }", "const base = { k: 'v' };"),
        ({"*": None, "l": True}, State.KNOWN, "{ ...unknown(), l: true }", ""),
        ("d", State.CONDITIONAL, "process.env.X ?? 'd'", ""),
        ("d", State.CONDITIONAL, "process.env['X'] || 'd'", ""),
        ("a", State.CONDITIONAL, "fast ? 'a' : 'b'", ""),
        ("https://x/y", State.KNOWN, "new URL('https://x/y')", ""),
        (None, State.UNKNOWN, "process.env.X!", ""),
        (None, State.UNKNOWN, "`a-${process.env.X}`", ""),
        (None, State.UNKNOWN, "M", "let M = 'a'; M = 'b';"),
        ("from-other", State.KNOWN, "CONSTANT", "import { CONSTANT } from './settings';"),
        ("from-other", State.KNOWN, "settings.CONSTANT", "import * as settings from './settings';"),
    ],
)
def test_arguments(expected: Any, state: State, argument: str, before: str) -> None:
    """Constants, also of other modules; the environment; what is assigned twice isn't known."""
    found = calls(
        f"{CLIENT}{before}\nnew OpenAI({{ model: {argument} }});", settings="export const CONSTANT = 'from-other';"
    )
    value = found["js:openai.default"].body.data["model"]
    assert (value.plain(), value.state) == (expected, state)


@pytest.mark.parametrize(
    "text",
    [
        "process.env.URL",
        'process.env["URL"]',
        "URL",
        "Deno.env.get('URL')",
        "import.meta.env.URL",
        "`${process.env.URL}/v1`",
    ],
)
def test_the_environment_is_named(text: str) -> None:
    """A value from a variable says which."""
    found = calls(f"{CLIENT}const {{ URL }} = process.env;\nnew OpenAI({{ baseURL: {text} }});")["js:openai.default"]
    assert found.body.data["baseURL"].refs == ("env:URL",)


def test_what_an_agent_is_given_refers_to_it() -> None:
    """Tools by the ids of what declares them, in place, by name, and from another module."""
    tools = 'import { tool } from "ai";\nexport const pay = tool({ execute: async () => 1 });'
    text = 'import { streamText, tool } from "ai";\nimport { pay } from "./tools";\nexport async function chat() {\n'
    text += "  const result = streamText({ tools: { pay, look: tool({}) } });\n}"
    found = {r.name: r for r in reading({"app.ts": text, "tools.ts": tools}).resources if r.type.startswith("call/")}
    assert [v.refs for v in found["chat"].find("tools.*")] == [(found["pay"].id,), (found["look"].id,)]


def test_a_tool_says_what_its_function_calls() -> None:
    """Also over functions of the same and of other files; Node's modules without `node:`, globals by their name."""
    text = 'import { tool } from "ai";\nimport { go } from "./go";\nconst run = tool({ execute: async (c) => { await fetch(c); return go(c); } });'
    go = 'import { exec } from "node:child_process";\nconst inner = (c: string) => exec(c);\nexport function go(c: string) { return inner(c); }'
    found = calls(text, go=go)["js:ai.tool"]
    assert [v.data for v in found.find("calls")] == ["js:globalThis.fetch", "js:child_process.exec"]


def test_what_a_call_returned_can_be_called() -> None:
    """A factory and what it makes have different names."""
    found = calls('import { createX } from "ai";\nconst x = createX({ baseURL: "u" });\nx("m"); x.chat("n");')
    assert set(found) == {"js:ai.createX", "js:ai.createX()", "js:ai.createX.chat"}


def test_tools_of_a_server_that_is_handed_in_belong_to_the_only_one() -> None:
    """`register(server: McpServer)` in another file; with two servers nobody can tell."""
    main = 'import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";\nconst server = new McpServer({ name: "s", version: "1" });\n'
    register = 'import type { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";\nexport function register(server: McpServer) {\n'
    register += '  server.registerTool("write", {}, async () => ({}));\n}\n'
    (tool,) = (r for r in reading({"main.ts": main, "r.ts": register}).resources if r.type.endswith("registerTool"))
    assert (tool.name, tool.find("$on")[0].refs) == ("write", ("main.ts: server",))
    (tool,) = (
        r for r in reading({"main.ts": main, "b.ts": main, "r.ts": register}).resources if r.type.endswith("Tool")
    )
    assert tool.find("$on")[0].refs == ()


def test_servers_that_a_client_starts_are_servers() -> None:
    """A command with its words, as in a configuration file."""
    text = 'import { MultiServerMCPClient } from "@langchain/mcp-adapters";\n'
    text += 'new MultiServerMCPClient({ mcpServers: { files: { command: "npx", args: ["-y", "@example/files"] } } });'
    (server,) = (r for r in reading({"a.ts": text}).resources if r.type == "mcp/server")
    assert (server.name, [v.data for v in server.find("command")]) == ("files", ["npx", "-y", "@example/files"])


def test_a_subclass_of_a_library() -> None:
    """Its fields are attributes, and what its methods call."""
    text = 'import { StructuredTool } from "@langchain/core/tools";\nimport fs from "fs";\n'
    text += 'export class Write extends StructuredTool<any> { name = "write"; async _call(a: any) { fs.writeFileSync(a.path, a.text); } }'
    (found,) = (r for r in reading({"a.ts": text}).resources if r.type.startswith("definition/"))
    assert (found.type, found.name) == ("definition/js:@langchain/core/tools.StructuredTool", "Write")
    assert (found.find("name")[0].data, found.find("calls")[0].data) == ("write", "js:fs.default.writeFileSync")


def test_the_endings_of_files() -> None:
    """TSX, JSX and CommonJS are read; declarations, bundles, tests and other people's code aren't."""
    text = CLIENT + "new OpenAI();"
    for file in ("a.tsx", "a.jsx", "a.mjs", "a.cts"):
        assert "js:openai.default" in calls(text + ("\nconst e = <div>{1}</div>;" if file.endswith("x") else ""), file)
    for file in (
        "a.d.ts",
        "a.min.js",
        "dist/a.js",
        "node_modules/x/a.js",
        "src/a.test.ts",
        "tests/a.ts",
        "vite.config.ts",
    ):
        assert reading({file: text}).resources == ()
    assert reading({"a.js": text + " " * 6000}).resources == ()


def test_names_of_others_are_no_library() -> None:
    """A class called like one of a package, code that only mentions it."""
    assert (
        calls('import { OpenAI } from "./mine";\nimport "openai";\nnew OpenAI();', mine="export class OpenAI {}") == {}
    )
    assert reading({"a.ts": '// new OpenAI()\nconst x = "from openai";'}).resources == ()


def test_what_is_no_typescript_is_said_with_its_line() -> None:
    """And what stands around it is read."""
    found = reading({"a.ts": f"{CLIENT}new OpenAI();\nconst = = ;\n"})
    assert [(p.place.file, p.place.line) for p in found.problems] == [("a.ts", 3)]
    assert any(r.type == "call/js:openai.default" for r in found.resources)


@pytest.mark.parametrize(
    "text",
    [
        "new OpenAI(" + "[\n" * 20_000,
        "new OpenAI(" + "(\n" * 20_000 + "1" + ")\n" * 20_000 + ");",
        "new OpenAI()" + ".a()\n" * 5_000,
        "const f = " + "() =>\n" * 20_000 + "1;",
        "const a0 = [1];\n" + "".join(f"const a{i} = [...a{i - 1}, ...a{i - 1}];\n" for i in range(1, 60)) + "new OpenAI(a59);",
        "".join(f"function f{i}() {{ f{i + 1}(); f{i + 2}(); new OpenAI({{ x: f{i + 1} }}); }}\n" for i in range(500)),
        "const a = a; const b = { c: b }; let q = q.z; q.z(); new OpenAI(a, b, q);",
    ],
    ids=["brackets", "parentheses", "chain", "arrows", "doubling", "functions", "itself"],
)  # fmt: skip
def test_hostile_code_takes_bounded_time(text: str) -> None:
    """Depth is no limit, doubling is cut off, what refers to itself ends."""
    start = time.process_time()
    reading({"a.ts": CLIENT + text})
    assert time.process_time() - start < 10


def test_modules_that_export_each_other_end() -> None:
    """Cycles of `export *`, of everything with everything."""
    files = {f"m{i}.ts": "".join(f'export * from "./m{j}";\n' for j in range(20)) for i in range(20)}
    assert reading({**files, "a.ts": f'{CLIENT}import {{ x }} from "./m0";\nnew OpenAI(x);'}).problems == ()


WHOLE = 'import { streamText, tool } from "ai";\nclass A extends B { private c = new C(); m({ a, b: { d } }: X) { return this.c.d`${a}`; } }\n'
WHOLE += 'export const t = tool({ ...x, "k": [1, ...y], async execute(z) { switch (z) { case 1: return { w: z ?? 2 }; } } });\n'


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(WHOLE)), st.integers(0, 40), st.text(alphabet="(){}[]`$\"'.,;=>:?\\ax\n\0é", max_size=8))
def test_no_text_raises(start: int, removed: int, inserted: str) -> None:
    """Whatever is broken in a file."""
    reading({"a.ts": WHOLE[:start] + inserted + WHOLE[start + removed :]})


def _ring(count: int) -> dict[str, str]:
    return {
        f"part{n}.ts": f"{CLIENT}import {{ look as after, MODEL as next }} from './part{(n + 1) % count}';\nexport const MODEL = 'gpt-{n}';\n"
        "const client = new OpenAI({ baseURL: next });\n"
        "export async function look(q: string) { await client.responses.create({ model: MODEL, input: q }); return after(q); }\n"
        for n in range(count)
    }


def test_what_is_forgotten_is_read_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tree of more modules than are kept gives the same: each stands in a ring of imports."""
    found = [(r.id, r.type, r.body.plain()) for r in reading(_ring(12)).resources]
    assert sum(type_ == "typescript/function" for _, type_, _ in found) == 12
    monkeypatch.setattr(kept, "KEPT", 300)
    monkeypatch.setattr(kept, "TIMES", 100)
    assert [(r.id, r.type, r.body.plain()) for r in reading(_ring(12)).resources] == found


def test_when_no_more_is_read_again_that_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """The work is bounded; no call of one's own is lost, and the result says that it isn't whole."""
    found = reading(_ring(12))
    assert found.problems == ()
    monkeypatch.setattr(kept, "KEPT", 300)
    monkeypatch.setattr(kept, "TIMES", 1)
    after = reading(_ring(12))
    assert [r.id for r in after.resources] == [r.id for r in found.resources]
    assert [p.message for p in after.problems if "some of it may be missing" in p.message]


def test_a_long_chain_of_imports_is_followed_without_end_of_the_stack() -> None:
    count = 1500
    chain = {
        f"m{n}.ts": f"{CLIENT}import {{ make as after }} from './m{n + 1}';\nexport const make = () => after();\nafter();\n"
        for n in range(count)
    }
    chain[f"m{count}.ts"] = f"{CLIENT}export const make = () => new OpenAI();\n"
    assert reading(chain).problems == ()

# SPDX-License-Identifier: Apache-2.0
"""Systems in TypeScript, through the whole of discovery: the same kinds, facts and flows as the same system in Python."""

from __future__ import annotations

from pathlib import Path

import pytest

from bastide.discover.discover import discover
from bastide.discover.result import Discovery

SYSTEMS = {
    "ai-sdk": (
        """import { streamText, tool } from "ai";
import { openai } from "@ai-sdk/openai";
const shell = tool({ description: "x", execute: async ({ c }) => execSync(c) });
import { execSync } from "node:child_process";
export async function assistant() { return streamText({ model: openai("gpt-4o"), tools: { shell } }); }
""",
        {"assistant": "ai.agent", "shell": "ai.tool", "gpt-4o": "ai.model.endpoint"},
        {"assistant->shell:invokes", "assistant->gpt-4o:calls"},
    ),
    "openai-agents": (
        """import { Agent, tool } from "@openai/agents";
const shell = tool({ name: "shell", execute: async ({ c }) => eval(c) });
const helper = new Agent({ name: "Helper", model: "gpt-5", tools: [shell] });
const triage = Agent.create({ name: "Triage", handoffs: [helper] });
""",
        {"triage": "ai.agent", "helper": "ai.agent", "shell": "ai.tool", "gpt-5": "ai.model.endpoint"},
        {"triage->helper:hands-off", "helper->shell:invokes", "helper->gpt-5:calls"},
    ),
    "langgraph": (
        """import { createReactAgent } from "@langchain/langgraph/prebuilt";
import { ChatAnthropic } from "@langchain/anthropic";
import { tool } from "@langchain/core/tools";
import { exec } from "child_process";
const shell = tool(async ({ c }) => exec(c), { name: "shell" });
const agent = createReactAgent({ llm: new ChatAnthropic({ model: "claude-x" }), tools: [shell] });
""",
        {"agent": "ai.agent", "shell": "ai.tool", "llm": "ai.model.endpoint"},
        {"agent->shell:invokes", "agent->llm:calls"},
    ),
    "mastra": (
        """import { Agent } from "@mastra/core/agent";
import { createTool } from "@mastra/core/tools";
import { anthropic } from "@ai-sdk/anthropic";
import { execa } from "execa";
const shell = createTool({ id: "shell", execute: async ({ context }) => execa(context.c) });
export const helper = new Agent({ name: "Helper", model: anthropic("claude-x"), tools: { shell } });
""",
        {"helper": "ai.agent", "shell": "ai.tool", "claude-x": "ai.model.endpoint"},
        {"helper->shell:invokes", "helper->claude-x:calls"},
    ),
    "mcp": (
        """import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";
import cp from "child_process";
const server = new McpServer({ name: "s", version: "1.0.0" });
server.registerTool("shell", { description: "x" }, async ({ c }) => ({ content: [{ type: "text", text: cp.execSync(c) }] }));
""",
        {"server": "ai.mcp-server", "shell": "ai.tool"},
        {"server->shell:invokes"},
    ),
}


def found(folder: Path, **files: str) -> Discovery:
    """What is discovered in files."""
    for name, text in files.items():
        (folder / f"{name}.ts").write_text(text)
    return discover(folder)


@pytest.mark.parametrize(("text", "kinds", "flows"), SYSTEMS.values(), ids=SYSTEMS.keys())
def test_a_system_is_found_whatever_framework_it_uses(
    text: str, kinds: dict[str, str], flows: set[str], tmp_path: Path
) -> None:
    """Agents, their tools and models, and that the tool runs what the model writes."""
    result = found(tmp_path, app=text)
    assert {i: c.kind for i, c in result.components.items()} == kinds
    assert flows <= {f.id for f in result.flows}
    assert result.components["shell"].facts["executes-code"].value is True
    assert result.components["shell"].facts["side-effect"].value == "irreversible"


def test_a_low_level_server_has_the_tools_that_it_lists(tmp_path: Path) -> None:
    """Also those that are constants."""
    text = """import { Server } from "@modelcontextprotocol/sdk/server/index.js";
import { ListToolsRequestSchema } from "@modelcontextprotocol/sdk/types.js";
const SEARCH = { name: "search", inputSchema: {} };
const server = new Server({ name: "s", version: "1" }, {});
server.setRequestHandler(ListToolsRequestSchema, async () => ({ tools: [SEARCH, { name: "fetch" }] }));
server.setRequestHandler(CallToolRequestSchema, async (request) => {
  if (request.params.name === "search") { return { content: [{ type: "text", text: execSync(request.params.arguments.q) }] }; }
});
import { execSync } from "child_process";
"""
    result = found(tmp_path, app=text)
    assert {i for i, c in result.components.items() if c.kind == "ai.tool"} == {"search", "fetch"}
    assert result.components["search"].provenance[0].line == 3
    assert result.components["server"].facts["executes-code"].value is True


def test_a_provider_of_ones_own_calls_the_models_that_it_names(tmp_path: Path) -> None:
    """Chats name them by other names; the program calls them all."""
    text = """import { customProvider, wrapLanguageModel } from "ai";
import { openai } from "@ai-sdk/openai";
const small = openai("gpt-5-mini");
export const mine = customProvider({ languageModels: { title: small, chat: wrapLanguageModel({ model: openai("gpt-5"), middleware: [] }) } });
"""
    flows = {(f.source, f.target) for f in found(tmp_path, app=text).flows}
    assert {target for _, target in flows} == {"small", "gpt-5"}


def test_expectations_hold_for_code_as_for_configuration(tmp_path: Path) -> None:
    """A server that is fetched without a version, a token in the text, http."""
    text = """import { Client } from "@modelcontextprotocol/sdk/client/index.js";
import { StdioClientTransport } from "@modelcontextprotocol/sdk/client/stdio.js";
import { StreamableHTTPClientTransport } from "@modelcontextprotocol/sdk/client/streamableHttp.js";
const client = new Client({ name: "c", version: "1" });
const files = new StdioClientTransport({ command: "npx", args: ["-y", "@example/files"], env: { API_TOKEN: "0123456789abcdef" } });
const web = new StreamableHTTPClientTransport(new URL("http://mcp.example.com/mcp"));
await client.connect(files);
await client.connect(web);
"""
    result = found(tmp_path, app=text)
    weak = {(w.expectation, w.element, w.place.line) for w in result.weaknesses if w.state == "fail"}
    assert {("supply/mcp-package-pinned", "files", 5), ("secrets/constant-secret", "files", 5)} <= weak
    assert result.components["web"].facts["tls"].value is False


def test_providers(tmp_path: Path) -> None:
    """Models that clients of providers call; embeddings are no models that are prompted."""
    text = """import OpenAI from "openai";
import Anthropic from "@anthropic-ai/sdk";
import { BedrockRuntimeClient, ConverseCommand } from "@aws-sdk/client-bedrock-runtime";
import { GoogleGenAI } from "@google/genai";
export async function f() {
  await new OpenAI().chat.completions.create({ model: "gpt-4.1", messages: [] });
  await new OpenAI().embeddings.create({ model: "text-embedding-3-small", input: "" });
  await new Anthropic().messages.create({ model: process.env.MODEL ?? "claude-x", max_tokens: 1, messages: [] });
  await new BedrockRuntimeClient({}).send(new ConverseCommand({ modelId: "amazon.nova-x", messages: [] }));
  await new GoogleGenAI({}).models.generateContent({ model: "gemini-x", contents: "" });
}
"""
    kinds = {c.name: c.kind for c in found(tmp_path, app=text).components.values() if c.kind.startswith("ai.")}
    models = ("gpt-4.1", "claude-x", "amazon.nova-x", "gemini-x")
    assert kinds == {**dict.fromkeys(models, "ai.model.endpoint"), "text-embedding-3-small": "ai.embedder"}


def test_a_key_in_the_text_is_said_with_its_line(tmp_path: Path) -> None:
    """One from the environment isn't."""
    text = """import { Pinecone } from "@pinecone-database/pinecone";
const one = new Pinecone({ apiKey: process.env.PINECONE_API_KEY! });
const other = new Pinecone({
  apiKey: "0123456789abcdef",
});
"""
    weak = [(w.element, w.place.line) for w in found(tmp_path, app=text).weaknesses if w.category == "hardcoded-secret"]
    assert weak == [("other", 4)]


RUN = """import { tool } from "ai"; import { streamText } from "ai"; import { openai } from "@ai-sdk/openai";
import { exec, execSync, execFileSync, spawn } from "child_process"; import { promisify } from "util";
const later = promisify(exec);
const help = (line) => execSync(line);
const run = tool({ execute: async ({ command }) => BODY });
export async function assistant() { return streamText({ model: openai("gpt-4o"), tools: { run } }); }
"""


@pytest.mark.parametrize(
    ("body", "state"),
    [
        ("execSync(command)", "fail"),
        ("execSync(`ls ${command}`)", "fail"),
        ("{ const line = 'ls ' + command; return await later(line); }", "fail"),
        ("help(command)", "fail"),
        ("spawn('ls', [command], { shell: true })", "fail"),
        ("execFileSync('ls', [command])", "pass"),
        ("help('ls')", "unknown"),
        ("execSync('ls')", "pass"),
    ],
)
def test_a_command_that_the_model_writes(tmp_path: Path, body: str, state: str) -> None:
    system = found(tmp_path, app=RUN.replace("BODY", body))
    states = [w.state for w in system.weaknesses if w.expectation == "agency/model-written-command"]
    assert states == ([] if state == "pass" else [state])
    assert (("agency/model-written-command", "run") in system.passed) == (state == "pass")


@pytest.mark.parametrize(
    ("code", "flow"),
    [
        (  # servers beside other tools
            'import { createAgent, tool } from "langchain"; import { MultiServerMCPClient } from "@langchain/mcp-adapters";\n'
            'const client = new MultiServerMCPClient({ mcpServers: { files: { command: "npx", args: ["-y", "@a/files"] } } });\n'
            "const own = tool(async () => 1, { name: 'own' }); const tools = await client.getTools();\n"
            'export const clerk = createAgent({ model: "gpt-4o", tools: [...tools, own] });',
            "clerk->files:invokes",
        ),
        (  # what a node's function does, its graph does
            'import { StateGraph } from "@langchain/langgraph"; import { ChatOpenAI } from "@langchain/openai";\n'
            'const brain = new ChatOpenAI({ model: "m" });\nasync function think(s) { return (await make()).invoke(s); }\n'
            "async function make() { if (1) { return brain; } return brain.withRetry(); }\n"
            "const plan = new StateGraph({}).addNode('think', think).addEdge('a', 'b');",
            "plan->brain:calls",
        ),
        (  # what a tool calls, the tool calls
            'import { generateText, tool } from "ai"; import { openai } from "@ai-sdk/openai";\n'
            "const sum = tool({ execute: async ({ t }) => generateText({ model: openai('small'), prompt: t }) });\n"
            "export async function assistant() { return generateText({ model: openai('large'), tools: { sum } }); }",
            "sum->small:calls",
        ),
        (  # what a function is given, also in an object
            'import { Agent } from "@openai/agents"; import { MCPServerStdio } from "@openai/agents";\n'
            "const files = new MCPServerStdio({ fullCommand: 'npx -y @a/files' });\n"
            "function make({ server }) { const clerk = new Agent({ name: 'clerk', mcpServers: [server] }); return clerk; }\n"
            "make({ server: files });",
            "clerk->files:calls",
        ),
        (  # an agent as a tool, by a function with a declared parameter
            'import { Agent } from "@openai/agents";\nconst MODELS = { fast: { model: "small" } };\n'
            "function consult(agent: Agent<any, any>) { return agent.asTool({ toolName: 'x' }); }\n"
            "const helper = new Agent({ name: 'helper', model: MODELS['fast'].model });\n"
            "const chief = new Agent({ name: 'chief', tools: [consult(helper)] });",
            "chief->helper:invokes",
        ),
        (
            'import { Agent } from "@openai/agents";\nconst MODELS = { fast: { model: "small" } };\n'
            "function pick(name) { const mine = MODELS[name]; return new Agent({ name: 'helper', model: mine.model }); }\npick('fast');",
            "agent->small:calls",
        ),
    ],
)  # fmt: skip
def test_who_does_what(tmp_path: Path, code: str, flow: str) -> None:
    assert flow in {f.id for f in found(tmp_path, app=code).flows}


def test_a_list_of_tools_that_is_filtered(tmp_path: Path) -> None:
    code = (
        'import { Server } from "@modelcontextprotocol/sdk/server/index.js";\nconst server = new Server({ name: "s" });\n'
        "server.setRequestHandler(ListTools, async () => {\n  const all = [{ name: 'put' }, { name: 'take' }];\n"
        "  try { const some = all.filter((t) => t.name); return { tools: some }; } catch { throw 1; }\n});"
    )
    assert {c.name for c in found(tmp_path, app=code).components.values() if c.kind == "ai.tool"} == {"put", "take"}

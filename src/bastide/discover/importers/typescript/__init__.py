# SPDX-License-Identifier: Apache-2.0
"""TypeScript and JavaScript: which calls of which packages stand in the code, with their arguments as far as the text says them. Nothing is run.

Names are those of packages, so that they can't be mistaken for Python's: `call/js:openai.OpenAI.chat.completions.create` is that method of what
`new OpenAI()` made, `OpenAI` being an export of the package `openai`. A default export is `default`; a path in a package stays without its file
ending (`js:@modelcontextprotocol/sdk/server/mcp.McpServer`), modules of Node without `node:`; `name()` is what a call of `name` returned, called
itself (`createOpenAI({...})("gpt")`). What is global is `js:globalThis.fetch`.
"""

from bastide.discover.importers.typescript.importer import TypeScript

__all__ = ["TypeScript"]

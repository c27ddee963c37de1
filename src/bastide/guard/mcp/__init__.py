# SPDX-License-Identifier: Apache-2.0
"""MCP servers behind the guard: remote ones through a proxy (Streamable HTTP), local ones wrapped (stdio)."""

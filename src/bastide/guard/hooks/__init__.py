# SPDX-License-Identifier: Apache-2.0
"""The guard inside of agent frameworks, without a network hop: `langchain`, `openai_agents` and `mcp_client`.

Each module imports its framework, so import only the one that you use.
"""

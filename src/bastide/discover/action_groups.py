# SPDX-License-Identifier: Apache-2.0
"""Action groups that stand inside a Bedrock agent as the resources that they are elsewhere: tools with a function behind them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from bastide.discover.model import Resource, State, Value, plain_key

GROUP = "aws_bedrockagent_agent_action_group"
_AGENTS = ("AWS::Bedrock::Agent", "awscc_bedrock_agent")


def with_action_groups(resources: Iterable[Resource]) -> Iterator[Resource]:
    """The resources, and the action groups of agents."""
    for resource in resources:
        yield resource
        if resource.type not in _AGENTS:
            continue
        for number, group in enumerate(resource.find("action_groups")):
            if isinstance(group.data, Mapping):
                yield _group(resource, group, number)


def _group(agent: Resource, group: Value, number: int) -> Resource:
    # Python's `lambda_` is `lambda`, a word of the language.
    body = {key: _plain(value) for key, value in (group.data or {}).items()}
    body["agent_id"] = Value(None, group.place, State.UNKNOWN, (agent.id,))
    name = next(
        (str(v.data) for v in group.find("action_group_name") if isinstance(v.data, str)), f"{agent.name}-{number}"
    )
    return replace(
        agent,
        id=f"{agent.id} action group {number}",
        type=GROUP,
        name=name,
        body=Value(body, group.place),
        place=group.place,
    )


def _plain(value: Value) -> Value:
    if not isinstance(value.data, Mapping):
        return value
    return replace(value, data={"lambda" if plain_key(k) == "lambda" else k: v for k, v in value.data.items()})

# SPDX-License-Identifier: Apache-2.0
"""`bastide guard key`."""

from __future__ import annotations

import click


@click.group()
def key() -> None:
    """Keys with which agents call the guard.

    \b
    Example:
      bastide guard key new --id web-1 --agent assistant
    """


@key.command()
@click.option("--id", "id_", required=True, metavar="ID", help="A name for the key; the log has it.")
@click.option("--agent", required=True, metavar="COMPONENT", help="The plan's component that uses it.")
@click.option("--user", default="", metavar="USER", help="The one user it stands for.")
@click.option("--may-name-user", is_flag=True, help="It may name users in the header x-bastide-user.")
@click.option("--actor", default="", metavar="COMPONENT", help="What kind of person that user is.")
@click.option("--tenant", default="", metavar="TENANT", help="The tenant it belongs to.")
@click.option("--team", default="", metavar="TEAM", help="The team whose budgets apply.")
@click.option(
    "--clearance",
    type=click.Choice(["public", "internal", "confidential", "restricted"]),
    help="The highest class of data.",
)
@click.option("--role", "roles", multiple=True, type=click.Choice(["decide-approvals", "operate"]), help="Repeatable.")
@click.option("--expires", default="", metavar="DATE", help="From this day on it is refused, such as 2027-06-30.")
def new(
    *,
    id_: str,
    agent: str,
    user: str,
    may_name_user: bool,
    actor: str,
    tenant: str,
    team: str,
    clearance: str | None,
    roles: tuple[str, ...],
    expires: str,
) -> None:
    """Make a key: its only copy on standard output, and the line for `callers.keys` of the settings on standard error.

    To replace a key, put a second one beside it, and take the first out once nobody uses it.

    \b
    Examples:
      bastide guard key new --id web-1 --agent assistant --may-name-user --actor customer > key.txt
      bastide guard key new --id bea --agent console --user bea --role decide-approvals --expires 2027-06-30
    """
    import json

    from bastide.errors import SettingsError, UsageError
    from bastide.guard.identity.keys import Keys, new_key
    from bastide.guard.settings import ApiKey

    secret, digest = new_key()
    made = ApiKey(
        id_, digest, agent, user, may_name_user, actor, tenant, team,
        clearance=clearance or "restricted", roles=frozenset(roles), expires=expires,
    )  # fmt: skip
    try:
        Keys([made])
    except SettingsError as problem:
        raise UsageError(problem.diagnostics[0].message) from None
    values: dict[str, object] = {
        "id": id_, "sha256": digest, "agent": agent, "user": user, "may-name-user": may_name_user, "actor": actor,
        "tenant": tenant, "team": team, "clearance": clearance, "roles": list(roles), "expires": expires,
    }  # fmt: skip
    # JSON is YAML too, and quotes whatever could mean something else.
    line = ", ".join(f"{name}: {json.dumps(value)}" for name, value in values.items() if value)
    click.echo(f"# under callers, keys:\n- {{{line}}}", err=True)
    click.echo(secret)

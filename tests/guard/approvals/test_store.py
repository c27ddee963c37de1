# SPDX-License-Identifier: Apache-2.0
"""An approval is good once, for exactly what a person saw."""

from __future__ import annotations

import json
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from bastide.errors import Denied, Malformed, NotFound, OverLimit, TooLarge, Unavailable
from bastide.guard.approvals.book import Approval, Binding, State, approval_json, for_agent
from bastide.guard.approvals.canonical import canonical, digest
from bastide.guard.approvals.page import render_one
from bastide.guard.approvals.store import PENDING, ApprovalStore
from bastide.guard.model import Caller
from tests.guard.approvals.build import ARGUMENTS, ASKER, BOSS, Clock, proposal


def binding(caller: Caller = ASKER, version: str = "v1", **more: Any) -> Binding:
    return Binding.of(caller, proposal(version=version, **more))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(clock: Clock) -> ApprovalStore:
    return ApprovalStore(clock=clock)


def given_one(store: ApprovalStore) -> Approval:
    return store.decide(store.request(ASKER, proposal()).id, BOSS, "allow", "fine")


def test_the_whole_life(store: ApprovalStore, clock: Clock) -> None:
    """Asked, decided by a person whose name is kept, used once."""
    asked = store.request(ASKER, proposal())
    assert (asked.state, asked.arguments, asked.expires - asked.created) == (State.PENDING, ARGUMENTS, 900.0)
    assert store.consume(binding()) is None
    decided = store.decide(asked.id, BOSS, "allow", "checked with the customer")
    assert (State.APPROVED, "acme/bea", clock.now) == (decided.state, decided.decided_by, decided.decided_at)
    used = store.consume(binding())
    assert used is not None
    assert (asked.id, State.USED) == (used.id, used.state)
    assert store.consume(binding()) is None
    assert store.request(ASKER, proposal()).id != asked.id


OTHERS: dict[str, Callable[[], Binding]] = {
    "other arguments": lambda: binding(arguments={**ARGUMENTS, "amount": 81}),
    "a number as a text": lambda: binding(arguments={**ARGUMENTS, "amount": "80"}),
    "one more argument": lambda: binding(arguments={**ARGUMENTS, "cc": ""}),
    "other tool": lambda: binding(tool="refund2"),
    "the same tool of another server": lambda: binding(component="other-shop"),
    "other user": lambda: binding(replace(ASKER, user="eve")),
    "no user": lambda: binding(replace(ASKER, user="")),
    "other tenant": lambda: binding(replace(ASKER, tenant="other")),
    "other agent": lambda: binding(replace(ASKER, agent="helper")),
    "other policy version": lambda: binding(version="v2"),
    "names that run together": lambda: binding(replace(ASKER, agent="assistantann", user="")),
}


@pytest.mark.parametrize("other", OTHERS)
def test_anything_else_needs_its_own(other: str, store: ApprovalStore) -> None:
    """An approval is no good for another call, caller or policy; it stays good for its own."""
    given_one(store)
    assert store.consume(OTHERS[other]()) is None
    assert store.consume(binding()) is not None


def test_expired(store: ApprovalStore, clock: Clock) -> None:
    """After its time neither a decision nor a use is possible, also when the clock then jumps back."""
    used, open_ = given_one(store), store.request(ASKER, proposal("send"))
    clock.now += 900
    assert store.consume(binding()) is None
    with pytest.raises(Denied, match="expired already"):
        store.decide(open_.id, BOSS, "allow")
    clock.now -= 100_000
    assert store.consume(binding()) is None
    assert store.get(used.id).state == State.EXPIRED
    assert store.pending() == []


def test_a_denial_stands(store: ApprovalStore, clock: Clock) -> None:
    """Who is told no gets the same no when asking again, until the time of that request is over."""
    asked = store.request(ASKER, proposal())
    store.decide(asked.id, BOSS, "deny", "not to this account")
    again = store.request(ASKER, proposal())
    assert (asked.id, State.DENIED) == (again.id, again.state)
    assert "not to this account" in for_agent(again)
    assert store.consume(binding()) is None
    clock.now += 901
    assert store.request(ASKER, proposal()).state == State.PENDING


def test_asking_again_is_the_same_request(clock: Clock) -> None:
    """The same call asked for twice is one request, and people are told once."""
    told: list[Approval] = []
    store = ApprovalStore(clock=clock, notify=told.append)
    first, second = store.request(ASKER, proposal()), store.request(ASKER, proposal())
    assert [first.id] == [one.id for one in store.pending()] == [second.id] == [one.id for one in told]


@pytest.mark.parametrize(
    ("code", "decider"),
    [
        ("approval_role", replace(BOSS, roles=frozenset({"operate"}))),
        ("approval_own", replace(BOSS, user="ann")),
        ("approval_own", replace(BOSS, agent="assistant")),
        ("approval_own", replace(BOSS, user="", key="k1")),
        ("approval_not_found", replace(BOSS, tenant="other")),
    ],
)
def test_who_may_not_decide(code: str, decider: Caller, store: ApprovalStore) -> None:
    """Without the role, about one's own request, as the agent that asks, or about another tenant's, nobody decides."""
    asked = store.request(ASKER, proposal())
    with pytest.raises((Denied, NotFound)) as caught:
        store.decide(asked.id, decider, "allow")
    assert code == caught.value.code
    assert store.get(asked.id).state == State.PENDING


def test_decided_once(store: ApprovalStore) -> None:
    """A decision can't be changed, and an unknown one is not found."""
    asked = given_one(store)
    with pytest.raises(Denied, match="approved already"):
        store.decide(asked.id, BOSS, "deny")
    with pytest.raises(NotFound):
        store.decide("apr_none", BOSS, "allow")


def test_in_force_when_it_is_logged(store: ApprovalStore) -> None:
    """Only what was decided is logged, and only what is logged can be used: also when the log fails in between, or the guard is killed."""
    log: list[tuple[State, str]] = []

    def note(decided: Approval) -> None:
        assert store.consume(binding()) is None, "not before it is logged"
        log.append((decided.state, decided.decided_by))

    def full(_: Approval) -> None:
        raise Unavailable("the log is full")

    asked = store.request(ASKER, proposal())
    for bad in (replace(BOSS, user="ann"), replace(BOSS, roles=frozenset())):
        with pytest.raises(Denied):
            store.decide(asked.id, bad, "allow", log=note)
    assert log == [], "what the store refuses is not logged"
    with pytest.raises(Unavailable):
        store.decide(asked.id, BOSS, "allow", log=full)
    assert store.consume(binding()) is None
    with pytest.raises(Denied, match="approved already"):
        store.decide(asked.id, replace(BOSS, user="cy"), "deny", log=note)
    assert log == [(State.APPROVED, "acme/bea")], "whoever comes next finishes it, as it was decided"
    with pytest.raises(Denied, match="approved already"):
        store.decide(asked.id, BOSS, "allow", log=note)
    assert len(log) == 1
    assert store.consume(binding()) is not None


def test_tenants_see_their_own(store: ApprovalStore) -> None:
    """A list holds the viewer's tenant's requests; without a tenant all."""
    store.request(ASKER, proposal())
    store.request(replace(ASKER, tenant="other"), proposal())
    assert [a.binding.tenant for a in store.pending(BOSS)] == ["acme"]
    assert len(store.pending(replace(BOSS, tenant=""))) == 2


def test_bounds(store: ApprovalStore) -> None:
    """Nobody is asked about too many things or too large ones, or about what has no one form."""
    for n in range(PENDING):
        store.request(ASKER, proposal(arguments={"n": n}))
    with pytest.raises(OverLimit):
        store.request(ASKER, proposal(arguments={"n": -1}))
    store.request(replace(ASKER, user="cy"), proposal())
    with pytest.raises(TooLarge):
        store.request(replace(ASKER, user="cy"), proposal(arguments={"text": "x" * 300_000}))
    with pytest.raises(Malformed):
        store.request(ASKER, proposal(arguments={"n": float("nan")}))


def test_a_restart_loses_none(tmp_path: Path, clock: Clock) -> None:
    """What was asked and given before a restart is there after it, and nobody else may read the file."""
    file = tmp_path / "a.sqlite3"
    first = ApprovalStore(file, clock=clock)
    asked = given_one(first)
    first.close()
    second = ApprovalStore(file, clock=clock)
    assert asked == second.get(asked.id)
    assert second.consume(binding()) is not None
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    second.close()


def test_a_file_of_an_earlier_version(tmp_path: Path, clock: Clock) -> None:
    """Open approvals from before bindings named the component expire, since they don't say whose tool was meant; closed ones can be read."""
    file = tmp_path / "approvals.sqlite"
    store = ApprovalStore(file, clock=clock)
    given_one(store)
    open_, closed = store.request(ASKER, proposal("send")), store.request(ASKER, proposal("post"))
    store.decide(closed.id, BOSS, "deny")
    store.close()
    with sqlite3.connect(file) as db:
        for id, asked in db.execute("SELECT id, asked FROM approvals").fetchall():
            document = json.loads(asked)
            del document["binding"]["component"]
            db.execute("UPDATE approvals SET asked = ? WHERE id = ?", (json.dumps(document).encode(), id))
        db.execute("ALTER TABLE approvals DROP COLUMN logged")
        db.execute("PRAGMA user_version = 0")
    db.close()
    store = ApprovalStore(file, clock=clock)
    assert store.consume(binding()) is None
    assert store.pending() == []
    assert [store.get(one.id).state for one in (open_, closed)] == [State.EXPIRED, State.DENIED]
    again = store.request(ASKER, proposal("send"))
    store.close()
    store = ApprovalStore(file, clock=clock)
    assert (again.state, again.logged) == (State.PENDING, False)
    assert store.get(again.id) == again
    store.close()


def test_a_file_that_is_none(tmp_path: Path) -> None:
    """A store that can't be opened is an error of the guard, not a traceback."""
    (tmp_path / "x").write_bytes(b"no database" * 100)
    for file in (tmp_path / "x", tmp_path / "none" / "x", tmp_path):
        with pytest.raises(Unavailable):
            ApprovalStore(file)


def test_threads_that_race(store: ApprovalStore) -> None:
    """Of many threads that use one approval at once exactly one gets it."""
    given_one(store)
    got: list[Approval | None] = []
    barrier = threading.Barrier(8)

    def use() -> None:
        barrier.wait()
        got.append(store.consume(binding()))

    threads = [threading.Thread(target=use) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(one is not None for one in got) == 1


_RACER = """
import sys, time
from pathlib import Path
from bastide.guard.approvals.page import render_one
from bastide.guard.approvals.store import ApprovalStore
from bastide.guard.approvals.book import Binding
from tests.guard.approvals.build import ASKER, proposal
store = ApprovalStore(Path(sys.argv[1]), clock=lambda: 1_800_000_001.0)
sys.stdout.write("ready\\n"); sys.stdout.flush(); sys.stdin.readline()
print(sum(store.consume(Binding.of(ASKER, proposal(arguments={"n": n}))) is not None for n in range(20)))
"""


def test_processes_that_race(tmp_path: Path, clock: Clock, repo: Path) -> None:
    """Of several processes that use twenty approvals at once, together they get each once."""
    file = tmp_path / "a.sqlite3"
    store = ApprovalStore(file, clock=clock)
    for n in range(20):
        store.decide(store.request(ASKER, proposal(arguments={"n": n})).id, BOSS, "allow")
    racers = [
        subprocess.Popen([sys.executable, "-c", _RACER, str(file)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=repo)
        for _ in range(3)
    ]  # fmt: skip
    for racer in racers:
        assert racer.stdout
        racer.stdout.readline()
    assert sum(int(racer.communicate("go\n")[0]) for racer in racers) == 20
    store.close()


def test_what_the_agent_is_told(store: ApprovalStore) -> None:
    """Each state has its own clear sentence."""
    one = store.request(ASKER, proposal())
    texts = {for_agent(replace(one, state=state)) for state in State}
    assert len(State) == len(texts)
    assert all(one.id in text and "`refund`" in text for text in texts)


def test_the_shape_for_machines(store: ApprovalStore) -> None:
    """The API's document has what a person needs to decide."""
    shown = approval_json(store.request(ASKER, proposal()))
    assert (shown["component"], shown["tool"]) == ("payments", "refund")
    assert (ARGUMENTS, digest(ARGUMENTS), ["inbox"]) == (
        shown["arguments"],
        shown["arguments_sha256"],
        shown["untraced"][0]["sources"],
    )


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@settings(max_examples=30)
@given(st.dictionaries(st.text(), values | st.sampled_from(["\ud800", 2**200, -(2**70)])), st.text(st.characters()))
def test_any_arguments(arguments: dict[str, Any], note: str) -> None:
    """Whatever JSON a call holds, it is kept as it is, shown on a page that can be sent, and used by the same call."""
    store = ApprovalStore(clock=Clock())
    one = store.request(ASKER, proposal(note[:50] + "\udfff", arguments))
    assert arguments == one.arguments
    render_one(one, viewer=note, now=0, csrf="t").encode("utf-8")
    store.decide(one.id, BOSS, "allow", note + "\ud800")
    assert store.consume(Binding.of(ASKER, proposal(note[:50] + "\udfff", arguments))) is not None
    store.close()


def test_an_id_that_is_none(store: ApprovalStore) -> None:
    """Any text as an id is not found."""
    for id_ in ("", "\ud800", "x" * 10_000, "' OR 1=1 --"):
        with pytest.raises(NotFound):
            store.get(id_)


@given(values)
def test_one_text_for_one_value(value: Any) -> None:
    """The canonical text reads back as the value, and the order of keys doesn't matter."""

    def turned(v: Any) -> Any:
        if isinstance(v, dict):
            return {k: turned(v[k]) for k in reversed(list(v))}
        return [turned(x) for x in v] if isinstance(v, list) else v

    assert value == json.loads(canonical(value))
    assert digest(value) == digest(turned(value))


def test_values_that_look_alike_differ() -> None:
    """`1`, `1.0`, `true` and `"1"` are four values; other forms of one letter are other letters."""
    assert len({digest(v) for v in (1, 1.0, True, "1", [1], "\u00e9", "e\u0301")}) == 7
    assert digest("\ud800") != digest("\ud801")

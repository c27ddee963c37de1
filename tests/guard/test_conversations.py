# SPDX-License-Identifier: Apache-2.0
"""Which conversations are the same, how many are kept, and what stays of one that isn't."""

from __future__ import annotations

import gc
import sqlite3
import weakref
from pathlib import Path

import pytest
from msgspec.structs import replace

from bastide.errors import Malformed, NotFound, OverLimit, Unavailable
from bastide.guard import conversations as module
from bastide.guard.conversation import Conversation
from bastide.guard.conversations import IDLE, Conversations, name_in
from bastide.guard.engine import Engine
from bastide.guard.events import Request, Role, Text, ToolCall, ToolResult, Turn
from bastide.guard.flow.session import mark
from bastide.guard.memories import MEMORIES, SOURCES, WORST, MemoryLabels
from bastide.guard.model import CLASSES, Caller, Effect, Label, Ruling
from tests.guard.gateway.fake import Clock
from tests.guard.gateway.running import engine

ANN = Caller("assistant", "ann", "customer", "t1", key="a")
EVE = Caller("assistant", "eve", "customer", "t1", key="e")
DIRTY = Label(0, 2, frozenset({"inbox"}))


class Fixture:
    """Conversations with a clock."""

    def __init__(self, more: str = "") -> None:
        self.clock = Clock()
        self.engine: Engine = engine("http://127.0.0.1:9", f"content: {{classifier: 'off'}}\n{more}")
        self.all = Conversations(self.clock)

    def named(self, name: str, caller: Caller = ANN) -> Conversation:
        """By name."""
        return self.all.named(self.engine, caller, name)

    def of(self, *texts: str, caller: Caller = ANN, previous: str = "") -> Conversation:
        """By history."""
        turns = tuple(Turn(Role.USER, (Text(text),)) for text in texts)
        request = Request("openai.chat", "gpt", turns, previous=previous)
        found = self.all.of(self.engine, caller, "", request, {id(t): mark(t) for t in turns})
        found.read(request)
        return found

    def taint(self, conversation: Conversation, text: str = "a mail") -> None:
        """It reads a mail."""
        conversation.watched = True
        conversation.session.observe(
            Turn(Role.TOOL, (ToolResult("c", (Text(text),), "read_mail"),)),
        )


@pytest.mark.parametrize(
    "other",
    [
        {"user": "eve"}, {"tenant": "t2"}, {"agent": "web"}, {"key": "b"}, {"scopes": frozenset({"pay"})}, {"clearance": 0},
        {"purpose": "marketing"}, {"actor": "web"}, {"team": "x"}, {"roles": frozenset({"operate"})}, {"chain": ("web",)},
    ],
)  # fmt: skip
def test_another_caller_has_another_conversation(other: dict[str, object]) -> None:
    """Whatever the policy looks at makes another caller: no request is decided with another one's rights."""
    it, different = Fixture(), replace(ANN, **other)
    first, second = it.named("x"), it.named("x", different)
    assert first is not second
    assert (first.caller, second.caller) == (ANN, different)
    assert it.of("Hi").caller == ANN
    assert it.of("Hi", "there", caller=different).caller == different


def test_a_name_is_no_stored_response() -> None:
    """Names and ids of responses don't meet."""
    it = Fixture()
    it.all.answered(it.named("mine"), "abc")
    assert it.named("response:abc") is not it.named("mine")
    assert it.of("more", previous="abc") is it.named("mine")
    for previous in ("mine", "x"):
        with pytest.raises(NotFound):
            it.of("more", previous=previous)


@pytest.mark.parametrize("name", ["x" * 257, "a\nb", "a\x00", "\u202eabc"])
def test_names_are_short_and_can_be_read(name: str) -> None:
    """Names that are too long aren't cut: two of them could become one."""
    with pytest.raises(Malformed):
        name_in({"x-bastide-conversation": name})
    assert name_in({"x-bastide-conversation": "x" * 256}) == "x" * 256
    assert name_in({}) == ""


def test_a_ruling_opens_the_tool_of_its_component_only() -> None:
    """A call that was let go for one server's tool opens no other server's of the same name."""
    it = Fixture()
    call, ruling = ToolCall("1", "pay", {"to": "x"}), Ruling(Effect.ALLOW, "", version="v")
    it.all.proposed(ANN, call, ruling, "shop")
    assert it.all.redeem(ANN, call, "v", "crm") is None
    assert it.all.redeem(EVE, call, "v", "shop") is None
    assert it.all.redeem(ANN, call, "v", "shop") is ruling
    assert it.all.redeem(ANN, call, "v", "shop") is None


def test_a_name_keeps_its_label_when_it_was_idle() -> None:
    """An idle conversation goes, and the next of that name begins with its label, as heard as it was, and with its counters."""
    it = Fixture("loops: {same-call: 1}")
    first = it.named("x")
    it.taint(first)
    first.loops.count(first.loops.proposed("read", {}), made=True)
    before = first.session.label
    it.clock.now += IDLE + 1
    again = it.named("x")
    assert again is not first
    assert (again.session.label, again.watched) == (before, True)
    with pytest.raises(OverLimit):
        again.loops.proposed("read", {})
    assert it.named("y").session.label == Label()
    it.clock.now += IDLE + 1
    it.named("y")
    it.clock.now += it.engine.settings.bounds.remember + 1
    assert it.named("x").session.label == Label(), "after a day it is forgotten"


def test_a_name_keeps_its_label_over_a_reload() -> None:
    """A reload takes nothing off a label; counters go on under the new limits."""
    it = Fixture()
    first = it.named("x")
    it.taint(first)
    door = it.all.at_door(it.engine, ANN, "x", "s")
    door.loops.count(door.loops.proposed("read", {}), made=True)
    it.engine = engine("http://127.0.0.1:9", "content: {classifier: 'off'}\nloops: {calls: 1}")
    again = it.named("x")
    assert again.engine is it.engine
    assert again.session.label == first.session.label
    with pytest.raises(OverLimit):
        it.all.at_door(it.engine, ANN, "x", "s").loops.proposed("other", {})


def test_a_noisy_caller_pushes_out_nobody() -> None:
    """Whoever has most loses first: the labels and the texts of others stay."""
    it = Fixture("bounds: {conversations: 300000}")
    mine = it.named("x")
    it.taint(mine)
    for n in range(500):
        it.named(f"noise {n}", EVE)
    it.of("a long history " * 3000, caller=EVE)
    assert it.named("x") is mine
    assert it.all.size <= 300_000 + module.EACH
    assert it.all.size == sum(h.weight for h in it.all._held) + sum(p.weight for p in it.all._past.values())


def test_what_is_long_weighs_more() -> None:
    """Bytes count, not conversations: one that grew is weighed again."""
    it = Fixture("bounds: {conversations: 400000}")
    first = it.named("x")
    it.taint(first, "word " * 50_000)
    assert it.named("y") is not first
    assert it.named("x") is not first, "it alone was over the bound"
    assert it.named("x").session.label == first.session.label


def test_who_lost_too_much_begins_with_all_of_it() -> None:
    """When even labels are too many, further names of that caller have the label of what is forgotten; nobody else's."""
    it = Fixture("bounds: {conversations: 50000}")
    tainted = it.named("x", EVE)
    it.taint(tainted)
    other = it.named("other")
    for n in range(400):
        it.named(f"noise {n}", EVE)
    for name in ("x", "never heard of"):
        assert it.named(name, EVE).session.label.integrity == 0
        assert not it.named(name, EVE).watched or name == "x"
    assert it.named("other") is other
    assert it.named("new").session.label == Label()


def test_the_forgotten_of_too_many_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the callers with forgotten labels are too many, those of the oldest hold for everybody."""
    monkeypatch.setattr(module, "FLOORS", 2)
    all_ = Fixture().all
    for n in range(3):
        all_._sink(f"caller {n}", Label(n + 1, 0, frozenset({str(n)})))
    assert all_._floor("caller 0").sources == {"0"}
    assert all_._floor("caller 2").sources == {"0", "2"}
    assert all_._floor("anybody").integrity == 1


def test_histories_go_without_a_trace() -> None:
    """Without a name the label is read from the history each time, so nothing has to stay."""
    it = Fixture()
    first = it.of("Hi")
    assert it.of("Hi", "there") is first
    it.clock.now += IDLE + 1
    assert it.of("Hi", "there", "again") is not first
    assert not it.all._past
    assert len(it.all._held) == 1


# Labels of what memories hold


def test_memories_keep_their_labels_over_a_restart(tmp_path: Path) -> None:
    """What was written as tainted is read as tainted, also after a restart; a label never gets better."""
    file = tmp_path / "log/memories.sqlite"
    one = MemoryLabels(file)
    one["notes"] = DIRTY
    one["notes"] = Label(5, 3, frozenset({"user"}))
    one.close()
    two, three = MemoryLabels(file), MemoryLabels(file)
    assert two["notes"] == Label(0, 3, frozenset({"inbox", "user"}))
    two["shared"], three["shared"] = Label(1, 0), Label(2, 2)
    assert MemoryLabels(file)["shared"] == Label(1, 2), "another process wrote it, too"
    del three
    assert (len(two), two.get("other")) == (2, None)
    assert file.stat().st_mode & 0o077 == 0
    with pytest.raises(TypeError):
        del two["notes"]


def test_words_that_this_version_does_not_know_are_the_worst(tmp_path: Path) -> None:
    """A file of another version makes nothing cleaner; one that is none stops the start."""
    MemoryLabels(tmp_path / "m").close()
    with sqlite3.connect(tmp_path / "m") as db:
        db.execute("INSERT INTO memories VALUES ('notes', 'saint', 'harmless', '[]')")
    db.close()
    assert MemoryLabels(tmp_path / "m")["notes"] == Label(0, len(CLASSES) - 1)
    (tmp_path / "n").write_text("no database at all, but a long enough text to be taken for one" * 10)
    with pytest.raises(Unavailable):
        MemoryLabels(tmp_path / "n")


def test_a_label_that_can_not_be_written_stops_the_call(tmp_path: Path) -> None:
    """It counts in this process, and is written with the next."""
    one = MemoryLabels(tmp_path / "m")
    one._db.execute("PRAGMA query_only = ON")
    for _ in range(2):
        with pytest.raises(Unavailable):
            one["notes"] = DIRTY
    assert one["notes"] == DIRTY
    one._db.execute("PRAGMA query_only = OFF")
    one["notes"] = DIRTY
    assert MemoryLabels(tmp_path / "m")["notes"] == DIRTY


def test_memories_are_bounded() -> None:
    """More memories or sources than are remembered count as the worst."""
    one = MemoryLabels()
    one["a"] = Label(sources=frozenset(map(str, range(SOURCES + 1))))
    assert one["a"].sources == {"more sources than are remembered"}
    one._labels |= {str(n): Label() for n in range(MEMORIES)}
    one["b"] = Label()
    assert one["b"] == one.get("c") == WORST


@pytest.mark.parametrize("caller", [ANN, EVE])
def test_a_name_hides_nothing_of_a_stored_response(caller: Caller) -> None:
    """Under a name, too, only a response that the guard knows of this caller is gone on from, with all that it had seen."""
    f = Fixture()
    first = f.of("Read my mail")
    f.taint(first)
    f.all.answered(first, "resp_1")
    turns = (Turn(Role.USER, (Text("Go on"),)),)
    marks = {id(t): mark(t) for t in turns}
    request = Request("openai.responses", "gpt", turns, previous="resp_1")
    if caller is EVE:
        with pytest.raises(NotFound):
            f.all.of(f.engine, caller, "fresh", request, marks)
        return
    on = f.all.of(f.engine, caller, "fresh", request, marks)
    assert on is f.named("fresh")
    assert on.session.label.integrity == first.session.label.integrity == 0
    with pytest.raises(NotFound):
        f.all.of(f.engine, caller, "fresh", replace(request, previous="resp_unknown"), marks)


def test_what_is_let_go_is_free_at_once() -> None:
    """A conversation is no cycle: the collector runs seldom in the gateway, so cycles would pile up by the gigabyte."""
    found = Conversation(Fixture().engine, ANN)
    found.say(Role.SYSTEM, "Be short.")
    found.say(Role.USER, "Where is my order? https://shop.example/o/1")
    stream = found.answering()
    stream.push("See https://other.example/x")
    stream.finish()
    found.decide(ToolCall("c", "send_mail", {"to": "a@example.com"}))
    gone = weakref.ref(found)
    gc.disable()
    try:
        del found, stream
        assert gone() is None
    finally:
        gc.enable()

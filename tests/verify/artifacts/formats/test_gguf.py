# SPDX-License-Identifier: Apache-2.0
"""A GGUF file is safe when its header can be read to its end, its tensors lie inside, and its chat templates do no harm."""

import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.verify.artifacts.formats.gguf import GgufReader
from bastide.verify.artifacts.interface import Limits, Scan, Source
from bastide.verify.artifacts.model import Verdict
from bastide.verify.artifacts.scan import scan_bytes
from tests.verify.artifacts.formats.models import Gguf, judged

CHAT = "{% for message in messages %}<|{{ message['role'] }}|>{{ message['content'] }}{% endfor %}"
ATTACK = "{{ ''.__class__.__mro__[1].__subclasses__() }}"


def good(version: int = 3, order: str = "<") -> Gguf:
    made = Gguf(version, order).string("general.architecture", "llama").string("tokenizer.chat_template", CHAT)
    made.strings("tokenizer.ggml.tokens", ["a", "b", ""]).pair("general.alignment", 4, made.number(32))
    return made.tensor("token_embd.weight", [4, 2]).tensor("output.weight", [32, 3], 8, size=102)


@pytest.mark.parametrize("version", [1, 2, 3])
@pytest.mark.parametrize("order", ["<", ">"])
def test_good_files_are_safe(version: int, order: str) -> None:
    """Each version, in both orders of bytes."""
    report = scan_bytes(good(version, order).bytes(), "m.gguf")
    assert (report.format, report.verdict, report.findings) == ("gguf", Verdict.SAFE, ())


@pytest.mark.parametrize("key", ["tokenizer.chat_template", "tokenizer.chat_template.tool_use"])
def test_templates_in_the_metadata_are_judged(key: str) -> None:
    """An attack in a template is found where it stands: in the template, by its line."""
    report = scan_bytes(Gguf().string(key, "fine\n" + ATTACK).bytes(), "m.gguf")
    assert Verdict.UNSAFE is report.verdict
    found = next(f for f in report.findings if f.id == "chat-template/reaches-inside")
    assert (key, 5) == (found.member, found.offset)


def test_a_template_twice_is_unsafe() -> None:
    """Readers take different ones of two."""
    verdict, found = judged(
        Gguf().string("tokenizer.chat_template", CHAT).string("tokenizer.chat_template", CHAT).bytes(), "m.gguf"
    )
    assert (Verdict.UNSAFE, {"gguf/repeated-key"}) == (verdict, found)


def test_offsets_are_exact() -> None:
    """A finding names the byte at which the pair begins."""
    data = Gguf().string("general.name", "a").string("general.name", "b").bytes()
    report = scan_bytes(data, "m.gguf")
    assert [data.rfind(struct.pack("<Q", 12) + b"general.name")] == [f.offset for f in report.findings]


def bad() -> list[tuple[str, bytes]]:
    def huge(count: int) -> bytes:
        return Gguf().bytes(pairs=count)

    text = Gguf()
    text.pairs.append(text.number((1 << 64) - 1, 8) + b"key")
    tokens = Gguf().pair("t", 9, struct.pack("<IQ", 8, 2) + struct.pack("<Q", (1 << 64) - 1))
    deep = Gguf().pair("t", 9, struct.pack("<IQ", 9, 1) * 20)
    return [
        ("overflow", huge((1 << 64) - 1)),
        ("overflow", text.bytes()),
        ("overflow", tokens.bytes()),
        ("overflow", Gguf().tensor("a", [1 << 32, 1 << 32], offset=0, size=4).bytes()),
        ("broken", huge(1 << 40)),
        ("broken", huge(1)),
        ("broken", deep.bytes()),
        ("broken", Gguf(9).bytes()),
        ("broken", Gguf().pair("k", 99, b"").bytes()),
        ("broken", Gguf().pair("k", 7, b"\2").bytes()),
        ("broken", Gguf().pair("k", 9, struct.pack("<IQ", 4, 1 << 30)).bytes()),
        ("broken", Gguf().pair("general.alignment", 4, struct.pack("<I", 24)).bytes()),
        ("broken", Gguf().tensor("a", [1] * 5, size=4).bytes()),
        ("outside", Gguf().tensor("a", [100], size=4).bytes()),
        ("overlap", Gguf().tensor("a", [8]).tensor("b", [8], offset=0).bytes()),
        ("hole", Gguf().tensor("a", [8], offset=64).bytes() + bytes(64)),
        ("alignment", Gguf().tensor("a", [8], offset=4).bytes()),
        ("repeated-tensor", Gguf().tensor("a", [8]).tensor("a", [8]).bytes()),
        ("unknown-type", Gguf().tensor("a", [8], 77).bytes()),
        ("tensor", Gguf().tensor("a" * 64, [8]).bytes()),
        ("tensor", Gguf().tensor("a", [33], 8, size=34).bytes()),
        ("trailing-data", good().bytes() + b"PK\3\4" * 100),
        ("template", Gguf().pair("tokenizer.chat_template", 4, b"\1\0\0\0").bytes()),
        ("no-header", b"nothing"),
        ("broken", b"GGUF\3"),
    ]  # fmt: skip


@pytest.mark.parametrize(("id", "data"), bad())
def test_what_breaks_a_rule_is_not_safe(id: str, data: bytes) -> None:
    """What loaders refuse is unknown; a number at which old ones write outside of their memory is unsafe."""
    verdict, found = judged(data, "m.gguf")
    assert verdict is (Verdict.UNSAFE if id == "overflow" else Verdict.UNKNOWN)
    assert f"gguf/{id}" in found


@given(st.data())
@settings(max_examples=200, deadline=None)
def test_no_content_makes_the_reader_fail(draw: st.DataObject) -> None:
    """Whatever the bytes, the reader ends without an exception; and no cut file is safe."""
    data = bytearray(good().bytes())
    for _ in range(draw.draw(st.integers(1, 4))):
        data[draw.draw(st.integers(4, len(data) - 1))] = draw.draw(st.integers(0, 255))
    GgufReader().read(Source("m.gguf", bytes(data)), Scan(Limits(), lambda source, scan: ""))
    cut = good().bytes()[: draw.draw(st.integers(4, len(data) - 140))]
    assert Verdict.SAFE is not scan_bytes(cut, "m.gguf").verdict

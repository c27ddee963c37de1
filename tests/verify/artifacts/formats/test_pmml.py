# SPDX-License-Identifier: Apache-2.0
"""PMML is unsafe when XML would have a file read, unknown when it names code, and safe else; no entity is ever expanded."""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bastide.verify.artifacts.model import Verdict
from bastide.verify.artifacts.scan import scan_bytes
from tests.verify.artifacts.formats.models import judged

HONEST = """<?xml version="1.0" encoding="UTF-8"?>
<PMML xmlns="http://www.dmg.org/PMML-4_4" xmlns:data="http://jpmml.org/jpmml-model/InlineTable" version="4.4">
  <Header copyright="Me"><Application name="SkLearn2PMML" version="0.1"/><Extension name="note" value="made on Monday"/></Header>
  <DataDictionary><DataField name="x" optype="continuous" dataType="double"/></DataDictionary>
  <TransformationDictionary><DerivedField name="y"><Apply function="+"><FieldRef field="x"/><Constant>1</Constant></Apply></DerivedField>
  </TransformationDictionary>
  <RegressionModel functionName="regression"><RegressionTable intercept="1.0"/></RegressionModel>
</PMML>
"""


def with_type(declaration: str, root: str = "PMML") -> str:
    return HONEST.replace("<PMML ", f"<!DOCTYPE {root} {declaration}>\n<PMML ", 1)


def test_honest_models_are_safe() -> None:
    """By extension or content, in other encodings, with the document type of old versions."""
    assert (Verdict.SAFE, set()) == judged(HONEST.encode(), "a.pmml")
    report = scan_bytes(HONEST.encode(), "a.xml")
    assert (report.verdict, report.format) == (Verdict.SAFE, "pmml")
    wide = HONEST.replace("UTF-8", "UTF-16").encode("utf-16")
    report = scan_bytes(wide, "a.xml")
    assert (report.verdict, report.format) == (Verdict.SAFE, "pmml")
    old = with_type('SYSTEM "http://www.dmg.org/v2-0/pmml_v2_0.dtd"')
    assert (Verdict.SAFE, set()) == judged(old.encode(), "a.pmml")


@pytest.mark.parametrize(
    ("text", "id", "place"),
    [
        (with_type('[<!ENTITY x SYSTEM "file:///etc/passwd">]').replace("Me", "&x;"), "external-entity", "<!ENTITY"),
        (with_type('[<!ENTITY % x SYSTEM "https://a.example/x.dtd"> %x;]'), "external-entity", "<!ENTITY"),
        (with_type('[<!ENTITY x PUBLIC "p" "https://a.example/x">]'), "external-entity", "<!ENTITY"),
        (with_type('SYSTEM "https://a.example/x.dtd"'), "external-entity", "<!DOCTYPE"),
        (
            HONEST.replace(
                "<Header", '<xi:include xmlns:xi="http://www.w3.org/2001/XInclude" href="/etc/passwd"/><Header'
            ),
            "include",
            "<xi:include",
        ),
    ],
)
def test_what_has_files_read_is_unsafe(text: str, id: str, place: str) -> None:
    """With the place where it stands."""
    report = scan_bytes(text.encode(), "a.pmml")
    assert Verdict.UNSAFE is report.verdict
    assert (f"pmml/{id}", text.index(place)) in {(f.id, f.offset) for f in report.findings}


LAUGHS = "".join(f'<!ENTITY a{n + 1} "{f"&a{n};" * 10}">' for n in range(12))


@pytest.mark.parametrize(
    ("text", "id"),
    [
        (with_type(f'[<!ENTITY a0 "ha">{LAUGHS}]').replace("Me", "&a12;"), "entity"),
        (HONEST.replace('function="+"', 'function="com.example.Own"'), "function"),
        (HONEST.replace("made on Monday", "Runtime.getRuntime().exec('x')"), "code"),
        (HONEST.replace("<Constant>1", "<Constant><h:script xmlns:h='x'>1</h:script>"), "code"),
        (HONEST.replace("made on Monday", "&lt;script>x()&lt;/script>"), "code"),
        (HONEST.replace("<Constant>1", "<Constant>__import__('os').system('x')"), "code"),
        (HONEST.replace("<PMML ", '<?xml-stylesheet href="x.xsl"?><PMML '), "instruction"),
        (HONEST.replace("PMML ", "Other ").replace("/PMML", "/Other"), "broken"),
        (HONEST[:-20], "broken"),
        (HONEST.replace("UTF-8", "UTF-99"), "broken"),
        ("<PMML>" * 2000, "broken"),
        ("PMML", "broken"),
    ],
)
def test_what_no_model_needs_is_unknown(text: str, id: str) -> None:
    """Entities without a file, names of classes, code, broken documents."""
    started = time.process_time()
    assert (Verdict.UNKNOWN, {f"pmml/{id}"}) == judged(text.encode(), "a.pmml")
    assert time.process_time() - started < 5


@given(
    st.lists(st.tuples(st.integers(0, 2000), st.sampled_from(b"<>&;\"'\0\xff!?[]% =/")), max_size=6),
    st.integers(0, 900),
)
@settings(max_examples=300, deadline=None)
def test_no_byte_makes_the_reader_fail(changes: list[tuple[int, int]], cut: int) -> None:
    """Whatever is changed, and wherever it is cut off."""
    data = bytearray(with_type('[<!ENTITY x SYSTEM "file:///x">]').encode())
    for at, value in changes:
        data[at % len(data)] = value
    report = scan_bytes(bytes(data[: len(data) - cut]), "a.pmml")
    assert [f for f in report.findings if "defect" in f.message] == []

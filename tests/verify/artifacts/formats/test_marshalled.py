# SPDX-License-Identifier: Apache-2.0
"""A function that Python wrote is told from anything else, without unmarshalling it."""

from __future__ import annotations

import base64
import marshal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bastide.verify.artifacts.formats._marshalled import whole

SOURCE = """
def f(x, y=3, *rest, **named):
    inner = lambda z: [i * x for i in z if i in {1, 2, "a", None}]
    return inner(y), x[1:2, ...] * 1.5 + 2j + 10**30, "é" * 300, (1, b"x", True)
"""
OTHER_VERSIONS = {
    "2.7": "YwAAAAAAAAAAAgAAAEAAAABzCAAAAGUAAGQAABRTKAEAAABpAgAAACgBAAAAdAEAAAB4KAAAAAAoAAAAACgAAAAAdAEAAABmdAgAAAA8bW9kdWxlPgEAAAB0AAAAAA==",
    "3.6": "4wAAAAAAAAAAAAAAAAIAAABAAAAAcwgAAABlAGQAFABTACkB6QIAAAApAdoBeKkAcgMAAAByAwAAANoBZtoIPG1vZHVsZT4BAAAAcwAAAAA=",
    "3.8": "YwAAAAAAAAAAAAAAAAAAAAACAAAAQAAAAHMIAAAAZQBkABQAUwApAekCAAAAKQHaAXipAHICAAAAcgIAAADaAWbaCDxtb2R1bGU+AQAAAPMAAAAA",
    "3.13": "YwAAAAAAAAAAAAAAAAIAAAAAAAAA8wwAAACVAFwAUwAtBQAAJAApAekCAAAAKQHaAXipAPMAAAAA2gFm2gg8bW9kdWxlPnIGAAAA"
    "AQAAAHMMAAAA8AMBAQHYAAGAQYIFcgQAAAA=",
}


def test_what_this_python_writes_is_whole_and_no_part_of_it_is() -> None:
    code = marshal.dumps(compile(SOURCE, "f", "exec"))
    assert whole(code)
    assert not any(whole(code[:end]) for end in range(len(code)))
    assert not whole(code + b"N")


@pytest.mark.parametrize("code", OTHER_VERSIONS.values(), ids=OTHER_VERSIONS.keys())
def test_other_versions_write_it_otherwise(code: str) -> None:
    assert whole(base64.b64decode(code))


@given(st.binary(max_size=300))
def test_anything_else_is_none(data: bytes) -> None:
    assert whole(b"c" + data) in (False, True)
    assert not whole(data) or data[0] & 0x7F == 0x63


def test_lists_in_lists_take_no_memory() -> None:
    assert not whole(b"c" + b"[\xff\xff\x00\x00" * 40_000)

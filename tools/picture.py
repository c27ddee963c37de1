# SPDX-License-Identifier: Apache-2.0
"""Takes the README's picture: the report of an example with its worst finding chosen. Needs Chromium and its driver.

`python tools/picture.py [PLAN] [PICTURE]`
"""

from __future__ import annotations

import shutil
import sys
from datetime import date
from pathlib import Path
from tempfile import TemporaryDirectory

from selenium import webdriver
from selenium.webdriver.common.by import By

from bastide.catalog.load import load_catalog
from bastide.plan.load import load_plan
from bastide.report.html import render_html
from bastide.threats.assess import assess

ROOT = Path(__file__).resolve().parent.parent
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--hide-scrollbars",
    "--disable-background-networking",
    "--no-first-run",
)
WIDTH, HEIGHT = 1320, 1240


def main(plan: Path, picture: Path) -> None:
    """Renders the plan's report, chooses its first finding and saves what a reader sees."""
    catalog = load_catalog()
    system = load_plan(plan, catalog.vocabulary)
    html = render_html(system, assess(system, catalog), catalog, generated=date.today().isoformat())
    with TemporaryDirectory() as folder:
        page = Path(folder) / "report.html"
        page.write_text(html, encoding="utf-8")
        options = webdriver.ChromeOptions()
        options.binary_location = shutil.which("chromium") or ""
        for flag in (*FLAGS, f"--user-data-dir={folder}/profile", f"--window-size={WIDTH},{HEIGHT}"):
            options.add_argument(flag)
        # Named, so that Selenium doesn't go looking for a driver on the network.
        driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(shutil.which("chromedriver")))
        try:
            driver.get(page.as_uri())
            driver.find_element(By.CSS_SELECTOR, "details.finding > summary").click()
            driver.execute_script("window.scrollTo(0, 0)")
            driver.save_screenshot(str(picture))
        finally:
            driver.quit()


if __name__ == "__main__":
    given = [Path(argument) for argument in sys.argv[1:3]]
    defaults = [ROOT / "examples" / "langflow-kubernetes" / "bastide.yaml", ROOT / "docs" / "report.png"]
    main(*(given + defaults[len(given) :]))

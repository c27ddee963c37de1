# SPDX-License-Identifier: Apache-2.0
"""What every test may ask for: the repository's folders, the framework data, a browser."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

ROOT = Path(__file__).resolve().parent.parent

# Timings vary on a busy machine, so no deadline; CI draws the same examples every time, so a failure repeats.
settings.register_profile("house", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.register_profile("ci", parent=settings.get_profile("house"), derandomize=True)
settings.load_profile("ci" if os.environ.get("CI") else "house")


@pytest.fixture(scope="session")
def repo() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def examples(repo: Path) -> Path:
    """The folder of example plans."""
    return repo / "examples"


@pytest.fixture(scope="session")
def framework_data() -> Path:
    """The folder with the public frameworks' own data; the test skips where it is absent."""
    folder = Path(os.environ.get("BASTIDE_FRAMEWORK_DATA") or ROOT.parent / "shared" / "data")
    if not (folder / "frameworks").is_dir():
        pytest.skip(f"no framework data in {folder}/frameworks (BASTIDE_FRAMEWORK_DATA names another folder)")
    return folder


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """A headless Chromium driven by Selenium; the test skips where there is none. Mark the test `browser`."""
    binary = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    driver_path = shutil.which("chromedriver")
    if not binary or not driver_path:
        pytest.skip("no chromium with chromedriver on this machine")
    from selenium import webdriver

    options = webdriver.ChromeOptions()
    options.binary_location = binary
    for flag in (
        "--headless=new",
        "--no-sandbox",
        "--disable-dev-shm-usage",
        "--disable-gpu",
        "--window-size=1400,1000",
    ):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})  # a test can assert that the console stays empty
    service = webdriver.ChromeService(executable_path=driver_path)
    driver = webdriver.Chrome(options=options, service=service)
    yield driver
    driver.quit()

"""Chromium without a window, driven by playwright. What needs it is skipped where one of them is missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from spacy_xlt import Bitext, render


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api", reason="tests in a browser need: pip install playwright")
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if chromium is None:
        pytest.skip("tests in a browser need Chromium: apt-get install chromium")
    with api.sync_playwright() as driver:
        # whoever runs tests as root, in a container, has no sandbox
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def show(browser: Any, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Open bitexts, or a page as text, in a new tab. What it complains of, or asks of a network, fails the test."""
    contexts: list[Any] = []
    complaints: list[str] = []

    def on_request(request: Any) -> None:
        if not request.url.startswith(("file:", "about:", "blob:")):
            complaints.append(request.url)

    def open_page(
        content: list[Bitext] | str,
        *,
        at: str = "",
        width: int = 1200,
        height: int = 800,
        waits_for: str = ".row, #nothing:not([hidden])",
        **options: Any,
    ) -> Any:
        file = tmp_path / "page.html"
        file.write_text(content if isinstance(content, str) else render(content), encoding="utf8")
        contexts.append(browser.new_context(viewport={"width": width, "height": height}, **options))
        page = contexts[-1].new_page()
        page.on("pageerror", lambda err: complaints.append(str(err)))
        page.on("console", lambda message: complaints.append(message.text))
        page.on("request", on_request)
        page.goto(f"{file.as_uri()}{at}")
        page.wait_for_selector(waits_for, timeout=20_000)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert complaints == []


def word(page: Any, which: str, token: int, *, row: int = 0) -> Any:
    """A word of a side of a sentence."""
    return page.locator(f'.row[data-row="{row}"] .{which} .word[data-i="{token}"]')


def linked(page: Any) -> list[str]:
    """The words of the target that links are drawn to."""
    return page.locator(".target .linked").all_inner_texts()


def shown(page: Any) -> list[str]:
    """The numbers of the sentences that are drawn."""
    return page.locator(".row .meta b").all_inner_texts()


def wait_for_count(page: Any, text: str) -> None:
    """Wait until the filters have found so many."""
    page.wait_for_function("text => document.getElementById('count').textContent === text", arg=text)

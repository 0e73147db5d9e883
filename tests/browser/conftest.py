"""Debian's Chromium, headless, in which tests open pages from the disk; without it they are skipped."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

AXE = Path(__file__).parent / "axe-core/axe.min.js"
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


class Opened(NamedTuple):
    """A page in the browser, what it asked for besides itself, and what it complained about."""

    page: Any
    requests: list[str]
    complaints: list[str]

    def grid(self, name: str) -> list[list[str]]:
        """The numbers of a figure, from the table below it."""
        script = "rows => rows.map(row => [...row.cells].map(cell => cell.textContent))"
        return self.page.eval_on_selector_all(f"#figure-{name} details tbody tr", script)

    def boxes(self, begin: str) -> dict[str, dict[str, float]]:
        """Place and size on the screen of the parts of pictures whose names begin like that."""
        script = """parts => Object.fromEntries(parts.map(part => {
            const box = part.getBoundingClientRect()
            return [part.id, {x: box.x + box.width / 2, y: box.y + box.height / 2,
                              width: box.width, height: box.height}]}))"""
        return self.page.eval_on_selector_all(f"[id^='{begin}']", script)

    def accessibility(self) -> list[str]:
        """What axe-core finds: contrast, headings, names, all of its rules."""
        # The page's own policy allows no script, and is to stay: the checker comes in by the debugger.
        self.page.evaluate(f"() => {{ {AXE.read_text(encoding='utf-8')} }}")
        found = self.page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
        return [
            f"{v['id']}: {v['help']}: {json.dumps([n['target'] for n in v['nodes']][:3])}"
            for v in found["violations"]
        ]


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """One browser for all tests."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no chromium is installed; as root, `make browser` does it")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Any]:
    """Opens a file at a width, light or dark."""
    contexts = []

    def open_file(file: Path, *, width: int = 1280, scheme: str = "light", media: str = "screen") -> Opened:
        context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.emulate_media(media=media, color_scheme=scheme)
        opened = Opened(page, [], [])
        page.on("request", lambda request: opened.requests.append(request.url))
        page.on("console", lambda message: opened.complaints.append(f"{message.type}: {message.text}"))
        page.on("pageerror", lambda error: opened.complaints.append(str(error)))
        page.goto(file.as_uri(), timeout=120_000)
        return opened

    yield open_file
    for context in contexts:
        context.close()

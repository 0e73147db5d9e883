"""Takes the picture of a report that the README shows: `python -m tests.docs.picture REPORT`.

REPORT is the HTML file of a run that was refused. What names places of the machine is left out.
"""

import shutil
import sys
from pathlib import Path

from tests.browser.conftest import FLAGS
from tests.support import REPOSITORY

PICTURE = REPOSITORY / "docs/report.png"
_SHOWN = ("compared", "slices", "attention-0")
_STYLE = """
.blocks > *, nav, footer, #flow, #data, #training, #wrong, #gates, #setup { display: none }
#outcome .bad, %s { display: block !important }
h2 { margin: 0.8rem 0 0.4rem; font-size: 1.1rem } details { display: none } body { padding-bottom: 0.5rem }
"""


def main() -> None:
    """Writes the picture."""
    from playwright.sync_api import sync_playwright

    figures = ", ".join(f"#figure-{name}" for name in _SHOWN)
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=shutil.which("chromium"), args=FLAGS)
        page = browser.new_page(viewport={"width": 1180, "height": 800})
        page.goto(Path(sys.argv[1]).absolute().as_uri())
        page.add_style_tag(content=_STYLE % figures)
        page.screenshot(path=PICTURE, full_page=True)
        browser.close()
    print(PICTURE)


if __name__ == "__main__":
    main()

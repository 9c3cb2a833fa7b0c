"""Take the pictures of a real report that the documents show: `python docs/pictures.py` (needs Chromium)."""

import os
import shutil
import sys
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from analyzer import analyze, write_report

DOCS = Path(__file__).parent
WIDE, NARROW = {"width": 1280, "height": 860}, {"width": 400, "height": 860}
SHOTS = {
    "report-light.png": {"color_scheme": "light", "viewport": WIDE},
    "report-dark.png": {"color_scheme": "dark", "viewport": WIDE},
    "report-narrow.png": {"color_scheme": "light", "viewport": NARROW},
}
"""How the page is looked at for each picture."""
STORY = "campaign.png"
"""The picture of one campaign, with its phases and its sequence diagram."""


def take(folder: Path, captures: Path) -> list[Path]:
    """Write a report of captures, and pictures of it into folder; return their paths."""
    with tempfile.TemporaryDirectory() as made, sync_playwright() as play:
        page = write_report(analyze(captures), made, tables=())["report.html"].as_uri()
        browser = play.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu"])
        for name, look in SHOTS.items():
            seen = browser.new_page(**look)
            seen.goto(page)
            seen.screenshot(path=folder / name)
        seen = browser.new_page(viewport=WIDE)
        seen.goto(page)
        seen.locator("#campaign-2 summary").click()
        seen.locator("#campaign-2").screenshot(path=folder / STORY)
        browser.close()
    return [folder / name for name in (*SHOTS, STORY)]


if __name__ == "__main__":
    os.chdir(DOCS.parent)  # so that the report names the captures as everybody would
    for path in take(DOCS / "pictures", Path("captures")):
        sys.stdout.write(f"{path}\n")

"""Write what is known of commands, tables and detectors, where it is defined, to docs/: `python docs/make.py`.

tests/test_docs.py compares.
"""

import shutil
from pathlib import Path

from analyzer.cli import cli
from analyzer.detectors import DETECTORS
from analyzer.reference import command_page, detector_page, table_page
from analyzer.tables import TABLES

DOCS = Path(__file__).parent
NOTE = "<!-- Written by docs/make.py; change what it describes instead. -->"


def pages() -> dict[str, str]:
    """Return the text of each generated page, by its path below docs/."""
    found = {f"commands/{name}.md": command_page(name, command) for name, command in sorted(cli.commands.items())}
    found |= {f"tables/{name}.md": table_page(table) for name, table in TABLES.items()}
    found |= {f"detectors/{name}.md": detector_page(name) for name in DETECTORS}
    return {path: f"{NOTE}\n\n{text}\n" for path, text in found.items()}


def main() -> None:
    """Write all pages; those of an earlier run are replaced."""
    for folder in {Path(path).parent for path in pages()}:
        shutil.rmtree(DOCS / folder, ignore_errors=True)
        (DOCS / folder).mkdir(parents=True)
    for path, text in pages().items():
        (DOCS / path).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()

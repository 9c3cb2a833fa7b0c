"""What a job says while it runs: a line each on standard error, for a terminal or for systemd's journal."""

import logging
import os
import sys
import time
from typing import TextIO

from analyzer.exports.escape import escape

LOGGER = logging.getLogger("analyzer.jobs")
LONGEST = 2000
"""Characters of a line at most: text in it may come from elsewhere."""
_PRIORITIES = {logging.ERROR: 3, logging.WARNING: 4, logging.INFO: 6}


class _Line(logging.Formatter):
    """One line, whatever the message holds; after its priority for the journal, after the time for people."""

    def __init__(self, *, journal: bool) -> None:
        super().__init__()
        self._journal = journal

    def format(self, record: logging.LogRecord) -> str:
        said = escape(" ".join(record.getMessage().split()), limit=LONGEST)
        if self._journal:
            return f"<{_PRIORITIES.get(record.levelno, 6)}>{said}"
        return f"{time.strftime('%Y-%m-%d %H:%M:%S', time.gmtime(record.created))} UTC  {said}"


def speak(*, quiet: bool = False, stream: TextIO | None = None) -> None:
    """Have what jobs say written to stream, standard error without; quiet leaves only what goes wrong."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_Line(journal="JOURNAL_STREAM" in os.environ))
    LOGGER.handlers[:] = [handler]
    LOGGER.propagate = False
    LOGGER.setLevel(logging.WARNING if quiet else logging.INFO)

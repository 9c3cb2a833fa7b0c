"""The program called in the process of a test: what a new process takes longest for is to import everything anew."""

import gc
import io
import sys
from contextlib import chdir, redirect_stderr, redirect_stdout
from unittest.mock import patch

from analyzer.cli import main


def call(*arguments, cwd="."):
    """Run the program as a user does, but for the process; return its exit code, output and errors."""
    said, wrong = (io.TextIOWrapper(io.BytesIO(), encoding="utf-8", write_through=True) for _ in range(2))
    words = ["sipscope", *map(str, arguments)]
    code = 0
    with chdir(cwd), redirect_stdout(said), redirect_stderr(wrong), patch.object(sys, "argv", words):
        try:
            main()
        except SystemExit as end:
            code = end.code or 0
    gc.unfreeze()  # main() does the contrary, since it is the last that its process does
    return code, *(stream.buffer.getvalue().decode() for stream in (said, wrong))

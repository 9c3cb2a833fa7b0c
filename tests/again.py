"""Tests of kernels once more, in another Python: with bounds checked, or interpreted."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

from analyzer.compiled import SOURCES

ROOT = Path(__file__).resolve().parents[1]


def checked_cache():
    """Return a folder for kernels with bounds checks, compiled of these very sources, once for all who check.

    The cache of a kernel does not notice that a file changed from which it takes parts or constants.
    """
    package = ROOT / "analyzer"
    files = [path for pattern in ("compiled.py", *SOURCES) for path in sorted(package.glob(pattern))]
    sources = b"".join(path.read_bytes() for path in files)
    return ROOT / ".pytest_cache" / "checked-kernels" / hashlib.sha256(sources).hexdigest()[:16]


def run_again(*files, variable, **environment):
    """Run test files with a variable of numba's set, and return the finished run of pytest.

    A cache of kernels that are not checked would serve those: the checked have their own.
    """
    given = {**os.environ, "NUMBA_CACHE_DIR": str(checked_cache()), variable: "1", **environment}
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *map(str, files)]
    return subprocess.run(command, env=given, cwd=ROOT, capture_output=True, text=True, timeout=600, check=False)

"""Where compiled kernels are kept: in a folder of the user's cache that is named after their sources.

Numba recompiles a kernel when its own file changes, but a kernel also holds code of the kernels that it calls, in
other files, and constants of modules that it imports. One folder for each state of all of them never serves stale code.
"""

import os
import shutil
import tempfile
from functools import cache
from hashlib import blake2b
from pathlib import Path

KEPT = 4
"""How many folders are kept: those of other versions, or of other checkouts, that were used last."""
SOURCES = ("engines/*.py", "sip/*.py")


@cache
def keep_compiled() -> None:
    """Tell numba where to keep what it compiles; NUMBA_CACHE_DIR in the environment counts more."""
    import numba

    if os.environ.get("NUMBA_CACHE_DIR"):
        return
    for home in (_home(), Path(tempfile.gettempdir()) / f"sipscope-{os.getuid()}"):
        folder = home / _digest()
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            os.utime(folder)
        except OSError:
            continue
        if home.stat().st_uid == os.getuid() and os.access(folder, os.W_OK):
            setattr(numba.config, "CACHE_DIR", str(folder))  # noqa: B010 (numba makes its settings at run time)
            _forget(home)
            return


def _home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sipscope"


def _digest() -> str:
    """Return a digest of all modules that kernels are made of."""
    digest = blake2b(digest_size=10)
    for pattern in SOURCES:
        for path in sorted(Path(__file__).parent.glob(pattern)):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _forget(home: Path) -> None:
    """Remove the folders that were not used for longest."""
    folders = sorted((path for path in home.iterdir() if path.is_dir()), key=lambda path: -path.stat().st_mtime)
    for path in folders[KEPT:]:
        shutil.rmtree(path, ignore_errors=True)

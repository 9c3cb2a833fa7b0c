"""Where compiled kernels are kept, and how they are made ready beside other work.

They are kept in a folder of the user's cache that is named after their sources. Numba recompiles a kernel when its own
file changes, but a kernel also holds code of the kernels that it calls, in other files, and constants of modules that
it imports. One folder for each state of all of them never serves stale code. What cannot be read there is compiled
again, and where nothing can be written kernels are compiled in memory.
"""

# mypy: allow-untyped-calls, disable-error-code="attr-defined,import-untyped"

import gc
import os
import select
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import blake2b
from importlib import import_module
from pathlib import Path
from threading import Lock
from typing import Any

KEPT = 4
"""How many folders are kept: those of other versions, or of other checkouts, that were used last."""
UNUSED_SECONDS = 3600
"""How long a folder beyond these has not been used before it is removed: others may be running."""
SOURCES = ("engines/*.py", "sip/*.py")
PREPARED = {
    "sip": ("analyzer.sip._block", "analyzer.sip._text", "analyzer.sip._hashing"),
    "streams": ("analyzer.sip._stream_kernels",),
}
"""The groups of kernels of which each is compiled by a process of its own, and their modules."""
PREPARATION = "analyzer.sip.preparation"
ALGEBRA = ("scipy.linalg.cython_blas", "scipy.linalg.cython_lapack")
"""What numba calculates with matrices by, if it can be imported."""
WAIT_SECONDS = 120
"""How long a group is waited for before it is compiled here after all."""
LEAN: dict[str, Any] = {"nogil": True, "_nrt": False, "no_cfunc_wrapper": True}
"""Without reference counts: no kernel makes an array, and counting took longer than the work itself."""


# --- decorators


def kernel(function: Callable[..., Any]) -> Any:  # noqa: ANN401
    """Compile a function that is called from Python, at its first call, and keep it."""
    import numba

    keep_compiled()
    try:
        dispatcher = numba.njit(**LEAN, pipeline_class=_kernel_compiler())(function)
    except (ImportError, AttributeError, TypeError):  # another version of numba: it takes longer
        dispatcher = numba.njit(**LEAN)(function)
    if not numba.config.DISABLE_JIT:
        with suppress(ImportError, AttributeError, TypeError):  # another version of numba: it is not kept
            dispatcher._cache = _SafeCache(function)  # noqa: SLF001 (njit(cache=True) does this, with a cache that raises)
    return dispatcher


def part(function: Callable[..., Any]) -> Any:  # noqa: ANN401
    """Compile a function that is called from kernels only, and kept as a part of them."""
    import numba

    try:
        return numba.njit(**{**LEAN, "no_cpython_wrapper": True}, pipeline_class=_part_compiler())(function)
    except (ImportError, AttributeError, TypeError):  # another version of numba: it is optimised twice
        return numba.njit(**LEAN)(function)


class _SafeCache:
    """Numba's cache of a function; a torn file, a full disk or no folder at all do not stop it."""

    def __init__(self, function: Callable[..., Any]) -> None:
        from numba.core.caching import FunctionCache, NullCache

        self._groups = [group for group, modules in PREPARED.items() if function.__module__ in modules]
        self._cache: Any = NullCache()
        with suppress(RuntimeError):  # no folder can be written
            self._cache = FunctionCache(function)
        self.cache_path: str | None = self._cache.cache_path

    def load_overload(self, sig: object, target_context: object) -> Any:  # noqa: ANN401
        """Return what was compiled for a signature, once another process that is compiling it has, or None."""
        for group in self._groups:
            await_compiled(group)
        try:
            return self._cache.load_overload(sig, target_context)
        except Exception:  # noqa: BLE001 (what a torn file holds may raise anything)
            with suppress(OSError):
                self._cache.flush()
            return None

    def save_overload(self, sig: object, data: object) -> None:
        """Keep what was compiled for a signature, if it can be written."""
        with suppress(OSError):
            self._cache.save_overload(sig, data)


@cache
def _kernel_compiler() -> type:
    """Return a compiler that remembers what the types of numba's own functions are, and collects no garbage."""
    from numba.core.compiler import Compiler

    class KernelCompiler(Compiler):
        def compile_extra(self, func: Callable[..., Any]) -> Any:  # noqa: ANN401
            with _remembering(), _hoarding():
                return super().compile_extra(func)

    return KernelCompiler


@contextmanager
def _hoarding() -> Iterator[None]:
    """Look for no garbage: a compiler makes much that refers to each other, and keeps most of it."""
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


_signatures: dict[Any, Any] = {}


@contextmanager
def _remembering() -> Iterator[None]:
    """Have numba remember which signature of an operator, or a function of its own, is for which types.

    Numba looks through all that it has for each `+` and each `[]` anew, and does so again in each round of inferring
    types: a third of the time that compiling takes.
    """
    from numba.core import types

    numbas: Any = getattr(types.functions, "BaseFunction", None)
    find = getattr(numbas, "get_call_type", None)
    if find is None or not hasattr(numbas, "get_impl_key"):  # another version of numba
        yield
        return

    def find_once(function: Any, context: Any, args: tuple[Any, ...], kws: Any) -> Any:  # noqa: ANN401
        if kws:
            return find(function, context, args, kws)
        key = (context, function, tuple(args))
        if key not in _signatures:
            signature = find(function, context, args, kws)
            _signatures[key] = signature, function.get_impl_key(signature)
        signature, function._impl_keys[signature.args] = _signatures[key]  # noqa: SLF001 (where find() leaves it)
        return signature

    numbas.get_call_type = find_once
    try:
        yield
    finally:
        numbas.get_call_type = find


@cache
def _part_compiler() -> type:
    """Return a compiler that leaves parts as they are, unless this version of numba does not let it."""
    from numba.core.compiler import CompilerBase, DefaultPassBuilder

    library = _part_library()

    class PartCompiler(CompilerBase):
        def define_pipelines(self) -> list[Any]:
            if self.state.func_id.func is _one_more or _leaves_parts():
                self.state.library = library(self.state.targetctx.codegen(), self.state.func_id.func_qualname)
            return [DefaultPassBuilder.define_nopython_pipeline(self.state)]

    return PartCompiler


@cache
def _leaves_parts() -> bool:
    """Say whether a kernel can be made of parts that are left as they are, by making one."""
    import numba

    one_more = part(_one_more)
    two_more = numba.njit(**LEAN)(lambda number: one_more(one_more(number)))
    try:
        return bool(two_more(1) == _one_more(_one_more(1)))
    except Exception:  # noqa: BLE001 (whatever that version raises)
        return False


def _one_more(number: int) -> int:
    return number + 1


def _part_library() -> type:
    """Return a code library that leaves parts as they are, since they are optimised in the kernels they are linked to.

    Numba would optimise each with all that it calls, which most are deeply nested in, and make machine code that is
    never run: more than half of the time that compiling takes.
    """
    from numba.core.codegen import JITCodeLibrary

    class Unplaced:
        """The code generator of what has no machine code, thus no place for an environment."""

        def __init__(self, codegen: Any) -> None:  # noqa: ANN401
            self._codegen = codegen

        def __getattr__(self, name: str) -> Any:  # noqa: ANN401
            return getattr(self._codegen, name)

        def set_env(self, name: str, environment: object) -> None:
            """Do nothing."""

    class PartLibrary(JITCodeLibrary):
        @property
        def codegen(self) -> Unplaced:
            return Unplaced(self._codegen)

        def get_pointer_to_function(self, name: str) -> int:  # noqa: ARG002
            self._ensure_finalized()
            return 0

        def _optimize_final_module(self) -> None:
            pass

        def _finalize_final_module(self) -> None:
            self._finalize_dynamic_globals()
            self._finalized = True

    return PartLibrary


# --- the folder


@cache
def keep_compiled() -> Path | None:
    """Tell numba where to keep what it compiles, and return the folder; NUMBA_CACHE_DIR in the environment counts more.

    None is returned if it is that, or if no folder can be written.
    """
    import numba

    if os.environ.get("NUMBA_CACHE_DIR"):
        return None
    digest = _digest()
    for home in (_home(), Path(tempfile.gettempdir()) / f"sipscope-{os.getuid()}"):
        folder = home / digest
        new = not folder.exists()
        try:
            home.mkdir(parents=True, exist_ok=True, mode=0o700)
            folder.mkdir(exist_ok=True, mode=0o700)
            os.utime(folder)
        except OSError:
            continue
        if home.stat().st_uid == os.getuid() and os.access(folder, os.W_OK):
            setattr(numba.config, "CACHE_DIR", str(folder))  # noqa: B010 (numba makes its settings at run time)
            if new:
                _forget(home)
            return folder
    return None


def _home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sipscope"


def _digest() -> str:
    """Return a digest of all that compiled kernels are made of: their modules, the compiler, the processor."""
    import numba
    from llvmlite import binding

    made_by = (numba.__version__, sys.implementation.cache_tag, binding.get_host_cpu_name(), numba.config.BOUNDSCHECK)
    digest = blake2b(repr(made_by).encode(), digest_size=10)
    for pattern in SOURCES:
        for path in sorted(Path(__file__).parent.glob(pattern)):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


def _forget(home: Path) -> None:
    """Remove folders that were not used for long, but for those that were used last."""
    ages: list[tuple[float, Path]] = []
    for path in home.iterdir():
        with suppress(OSError):  # another process may be removing it too
            if path.is_dir():
                ages.append((time.time() - path.stat().st_mtime, path))
    for age, path in sorted(ages)[KEPT:]:
        if age > UNUSED_SECONDS:
            shutil.rmtree(path, ignore_errors=True)


# --- compiling beside other work


def spare_algebra() -> None:
    """Have numba do without the linear algebra of scipy, which takes it long to import and which no kernel uses.

    For a process that runs no kernels but those of this package: others could multiply no matrices.
    """
    if any(name in sys.modules for name in (*ALGEBRA, "numba.np.arraymath")):
        return
    for name in ALGEBRA:
        sys.modules[name] = None  # type: ignore[assignment]  # it cannot be imported
    try:
        with suppress(ImportError):
            import_module("numba.np.arraymath")
    finally:
        for name in ALGEBRA:
            sys.modules.pop(name, None)


def prepare(announce: Callable[[str], None]) -> None:
    """Let other processes compile what reading needs after the engine, if it has never been: call before reading.

    While this process compiles the kernels of its engine, and reads, another Python compiles those for SIP, and one
    more those for streams, into the same folder. A kernel that is called here before it is there waits for it. That
    one could not be started, or ends early, costs time only. Each goes on to its end if this process ends before.

    Args:
        announce: takes a sentence for the user; called only if there is something to prepare.
    """
    import numba

    folder = keep_compiled()
    if numba.config.DISABLE_JIT or (folder is not None and is_prepared(folder, "sip")):
        return
    announce("preparing the decoder, once")
    if folder is not None:
        for process in _beside.values():
            process.start()


def is_prepared(folder: Path, group: str) -> bool:
    """Say whether a group of kernels was compiled into a folder."""
    return (folder / f"{group}.ready").exists()


def note_prepared(group: str) -> None:
    """Note that a group of kernels is compiled now."""
    folder = keep_compiled()
    if folder is not None:
        with suppress(OSError):
            (folder / f"{group}.ready").touch()


def await_compiled(group: str) -> None:
    """Wait until a group of kernels is compiled, if another process is at it."""
    _beside[group].wait()


class _Beside:
    """A process that compiles a group of kernels beside this one."""

    def __init__(self, group: str) -> None:
        self._group = group
        self._process: subprocess.Popen[bytes] | None = None
        self._lock = Lock()

    def start(self) -> None:
        """Start it, with the same modules as this process but none from the working folder."""
        if self._process is not None or not sys.executable:
            return
        given = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        paths = [str(Path(__file__).parents[1]), *filter(None, given)]
        with suppress(OSError):
            self._process = subprocess.Popen(  # noqa: S603 (nothing of it comes from outside)
                [sys.executable, "-P", "-m", PREPARATION, self._group],
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            )  # fmt: skip

    def wait(self) -> None:
        """Wait until it tells that it is done, or ends, or takes too long."""
        with self._lock:
            told = None if self._process is None else self._process.stdout
            if self._process is None or told is None or told.closed:
                return
            select.select([told], [], [], WAIT_SECONDS)
            told.close()
            with suppress(subprocess.TimeoutExpired):  # it has no more to do once it told; on a busy machine it lingers
                self._process.wait(1)


_beside = {group: _Beside(group) for group in PREPARED}

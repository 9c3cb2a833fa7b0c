"""Work in threads, or in processes of its own: tasks out in order, results in the order of the tasks.

The processes are Python started anew, so that nothing is inherited that threads hold, and the caller's program is not
run a second time (as multiprocessing would, so that every script needed a guard). They end with whoever started them,
all at once if need be. For what is too large to be handed over there is a copy of this process.
"""

import os
import pickle
import signal
import subprocess
import sys
import threading
import warnings
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from importlib import import_module
from queue import SimpleQueue
from typing import Any, NoReturn, TypeVar

from analyzer.errors import AnalyzerError

_Given = TypeVar("_Given")
_Made = TypeVar("_Made")
_START = "import sys; sys.path[:] = sys.argv[1:]; from analyzer.workers import serve; serve()"


class EndedError(Exception):
    """A process ended before its task was done; the message says how."""


def count_processors() -> int:
    """Return how many processors this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def in_threads(work: Callable[[_Given], _Made], tasks: Iterable[_Given], *, threads: int) -> Iterator[_Made]:
    """Yield what work returns for each task, in the order of the tasks; so many threads work at a time.

    While a result is awaited, one task more is waiting than threads work. Raises what work raises, of the first
    task that fails.
    """
    if threads <= 1:
        yield from map(work, tasks)
        return
    waiting: deque[Future[_Made]] = deque()
    pool = ThreadPoolExecutor(threads, "worker")
    try:
        for task in tasks:
            waiting.append(pool.submit(work, task))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def run(work: str, tasks: Sequence[tuple[Any, ...]], *, processes: int) -> Generator[Any]:
    """Yield what work, a "module:function", returns for each task's arguments, in the order of the tasks.

    Raises what it raises if that is an AnalyzerError, of the first task that fails, and EndedError if a process ends.
    When the iterator is closed, by Ctrl-C for example, all processes are killed.
    """
    crew = [_Worker(work) for _ in range(min(processes, len(tasks)))]
    idle: SimpleQueue[_Worker] = SimpleQueue()
    for worker in crew:
        idle.put(worker)

    def do(task: tuple[Any, ...]) -> Any:  # noqa: ANN401
        worker = idle.get()
        try:
            return worker.do(task)
        finally:
            idle.put(worker)

    pool = ThreadPoolExecutor(max(len(crew), 1), "worker")
    try:
        results = [pool.submit(do, task) for task in tasks]
        while results:
            yield results.pop(0).result()
    finally:
        for worker in crew:
            worker.kill()
        pool.shutdown(cancel_futures=True)


class Copy:
    """A copy of this process, as it is now, that does one piece of work and ends; the memory of both is shared.

    It is made only where no other thread is at anything: what such a thread holds would be held in the copy for ever.
    """

    def __init__(self, work: Callable[[], None]) -> None:
        """Make it; raise OSError if there cannot be one more process."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # threads that only wait hold nothing
            self._process = os.fork()
        if not self._process:
            _end_with(work)
        self._ended = False
        self._reaping = threading.Lock()

    @staticmethod
    def is_possible() -> bool:
        """Say whether the system can make one; on others than Linux, libraries do not expect it."""
        return sys.platform == "linux"

    def wait(self) -> None:
        """Wait for its end; raise the OSError that ended its work, or EndedError if anything else did."""
        os.waitid(os.P_PID, self._process, os.WEXITED | os.WNOWAIT)
        with self._reaping:  # from then on the number may be another process's
            _, status = os.waitpid(self._process, 0)
            self._ended = True
        code = os.waitstatus_to_exitcode(status)
        if 0 < code < _FAILED:
            raise OSError(code, os.strerror(code))
        if code:
            raise EndedError(_say_how(code))

    def kill(self) -> None:
        """End it, whatever it does, unless it has ended."""
        with self._reaping:
            if not self._ended:
                os.kill(self._process, signal.SIGKILL)


_FAILED = 255
"""How a copy ends whose work raised anything but an OSError."""


def _end_with(work: Callable[[], None]) -> NoReturn:
    """Do the work of a copy, and end it."""
    code = _FAILED
    try:
        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # Ctrl-C is for the one that made it, which kills it
        work()
        code = 0
    except OSError as error:
        code = error.errno if error.errno and 0 < error.errno < _FAILED else _FAILED
    finally:
        os._exit(code)


class _Worker:
    """A process that does one task after the other."""

    def __init__(self, work: str) -> None:
        self._process = subprocess.Popen(  # noqa: S603
            # Without -P, modules in the working directory, whoever put them there, would come before Python's own.
            [sys.executable, "-P", "-c", _START, *sys.path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            process_group=0,  # Ctrl-C on a terminal is for the one that started it, which then kills it
        )
        self._send(work)

    def do(self, task: tuple[Any, ...]) -> Any:  # noqa: ANN401
        """Return the result of the task, or raise its error."""
        self._send(task)
        try:
            error, result = pickle.load(self._process.stdout)  # type: ignore[arg-type]  # noqa: S301
        except (EOFError, OSError, pickle.UnpicklingError):
            raise EndedError(_say_how(self._process.wait())) from None
        if error is not None:
            raise _revive(*error)
        return result

    def kill(self) -> None:
        """End the process, whatever it does."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(BrokenPipeError):  # what was to be sent to a process that has ended
                pipe.close()  # type: ignore[union-attr]

    def _send(self, what: object) -> None:
        with suppress(BrokenPipeError):  # it has ended, and do() says so
            pickle.dump(what, self._process.stdin, pickle.HIGHEST_PROTOCOL)  # type: ignore[arg-type]
            self._process.stdin.flush()  # type: ignore[union-attr]


def _say_how(code: int) -> str:
    if code >= 0:
        return f"with exit code {code}"
    name = signal.Signals(-code).name if -code in set(signal.Signals) else f"signal {-code}"
    return f"by {name}{', maybe for want of memory' if name == 'SIGKILL' else ''}"


def _revive(kind: type[AnalyzerError], arguments: tuple[Any, ...], state: dict[str, Any]) -> AnalyzerError:
    """Return an error as it was raised; pickle would call it with its message as its only argument."""
    error = kind.__new__(kind)
    error.args = arguments
    error.__dict__.update(state)
    return error


def serve() -> None:
    """Do the tasks that come on standard input; end when there are no more, or when whoever sends them has ended."""
    tasks: SimpleQueue[Any] = SimpleQueue()
    threading.Thread(target=_listen, args=(tasks,), daemon=True).start()
    with os.fdopen(os.dup(1), "wb") as answers:
        os.dup2(2, 1)  # what a library may print is no answer
        module, _, name = tasks.get().partition(":")
        work = getattr(import_module(module), name)
        while True:
            error = result = None
            try:
                result = work(*tasks.get())
            except AnalyzerError as problem:
                error = type(problem), problem.args, problem.__dict__
            pickle.dump((error, result), answers, pickle.HIGHEST_PROTOCOL)
            answers.flush()


def _listen(tasks: "SimpleQueue[Any]") -> None:
    with os.fdopen(os.dup(0), "rb") as orders:
        while True:
            try:
                tasks.put(pickle.load(orders))  # noqa: S301
            except (EOFError, OSError):
                os._exit(0)

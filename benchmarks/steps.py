"""How long each step of the pipeline takes: `python -m benchmarks.steps CAPTURE OUT`; prints JSON.

Runs a report twice in this process, with a clock around each step, and counts the second time: the first loads
libraries and kernels. Steps that run in several threads at once may add up to more than the whole.
"""

import functools
import importlib
import json
import sys
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

STEPS = {
    "decode": ("analyzer.engines.native:read_packets",),
    "streams": ("analyzer.sip.streams:Streams.add", "analyzer.sip.streams:Streams.finish"),
    "parse": ("analyzer.sip.parser:parse_part",),
    "merge": ("analyzer.sip.assembly:assemble",),
    "recognise": ("analyzer.tools:recognise",),
    "follow": ("analyzer.sip.transactions:follow",),
    "detect": (
        "analyzer.evidence:opening_requests",
        "analyzer.detectors:find_attacks",
        "analyzer.evidence:ordinary_keys",
    ),
    "campaigns": ("analyzer.campaigns:join_campaigns",),
    "sources": ("analyzer.sources:judge_sources",),
    "report": ("analyzer.reports:write_report",),
}
"""Each step, and the functions that it consists of, all of which analyzer imports when it calls them."""


class Clock:
    """Adds up the time that is spent in each step; a step within another counts for itself only."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self.seconds: dict[str, float] = defaultdict(float)
        self._here = threading.local()
        self._lock = threading.Lock()

    def around(self, step: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function that does the same, on the clock."""

        @functools.wraps(function)
        def timed(*args: Any, **options: Any) -> Any:  # noqa: ANN401
            with _Span(self, step):
                result = function(*args, **options)
            return self._each(step, result) if isinstance(result, Iterator) else result

        return timed

    def _each(self, step: str, items: Iterator[Any]) -> Iterator[Any]:
        while True:
            with _Span(self, step):
                try:
                    item = next(items)
                except StopIteration:
                    return
            yield item

    def enter(self) -> float:
        """Begin a span; return the time spent in the spans within the one around it so far."""
        outside = getattr(self._here, "inner", 0.0)
        self._here.inner = 0.0
        return outside

    def leave(self, step: str, outside: float, took: float) -> None:
        """End a span."""
        with self._lock:
            self.seconds[step] += took - self._here.inner
        self._here.inner = outside + took


class _Span:
    def __init__(self, clock: Clock, step: str) -> None:
        self.clock, self.step = clock, step

    def __enter__(self) -> None:
        self.outside, self.start = self.clock.enter(), time.perf_counter()

    def __exit__(self, *_: object) -> None:
        self.clock.leave(self.step, self.outside, time.perf_counter() - self.start)


def watch(clock: Clock) -> None:
    """Put every step on the clock, for as long as this process lives; raise AttributeError if a step is gone."""
    for step, places in STEPS.items():
        for place in places:
            module, name = place.split(":")
            *owners, last = name.split(".")
            owner = functools.reduce(getattr, owners, importlib.import_module(module))
            setattr(owner, last, clock.around(step, getattr(owner, last)))


def measure(clock: Clock, capture: str, out: str) -> dict[str, float]:
    """Return the seconds of each step of a report on the capture, of all else in it, and of the whole."""
    clock.seconds.clear()
    start = time.perf_counter()
    from analyzer.analysis import analyze
    from analyzer.reports import write_report

    write_report(analyze(capture), out)
    whole = time.perf_counter() - start
    steps = {step: clock.seconds.get(step, 0.0) for step in STEPS}
    return {**steps, "whole": whole}


if __name__ == "__main__":
    clock = Clock()
    watch(clock)
    measure(clock, sys.argv[1], sys.argv[2])  # the first of all loads libraries and kernels
    print(json.dumps(measure(clock, sys.argv[1], sys.argv[2])))

"""What tests of live captures share: a watch that runs, and what it says, with the time at which it was heard."""

import json
import subprocess
import sys
import threading
import time

import pytest

SIPSCOPE = [sys.executable, "-m", "analyzer"]


class Watch:
    """A `sipscope watch --json` that runs; what it says is heard as it is said."""

    def __init__(self, *arguments, before=(), stdin=None):
        self.process = subprocess.Popen(
            [*before, *SIPSCOPE, "watch", *map(str, arguments), "--json"],
            stdin=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.heard = []
        self.said = ""
        self._news = threading.Condition()
        self._threads = [threading.Thread(target=listen, daemon=True) for listen in (self._listen, self._listen_aside)]
        for thread in self._threads:
            thread.start()

    def _listen(self):
        for line in self.process.stdout:
            with self._news:
                self.heard.append((time.time(), json.loads(line)))
                self._news.notify_all()

    def _listen_aside(self):
        for line in self.process.stderr:
            with self._news:
                self.said += line
                self._news.notify_all()

    def await_said(self, words, seconds=120):
        """Wait until standard error says so."""
        with self._news:
            assert self._news.wait_for(lambda: words in self.said, seconds), self.said

    def await_event(self, seconds, **facts):
        """Return when an event with these facts was heard, and the event; wait for it so many seconds."""

        def find():
            return [(at, one) for at, one in self.heard if facts.items() <= one.items()]

        with self._news:
            assert self._news.wait_for(find, seconds), f"no {facts} in {self.heard}, {self.said}"
            return find()[0]

    def events(self, what):
        """Return the events of one kind that were heard."""
        return [event for _, event in self.heard if event["event"] == what]

    def end(self, how=None, seconds=60):
        """End it, and return its exit code and its summary."""
        if how is not None:
            self.process.send_signal(how)
        code = self.process.wait(seconds)
        for thread in self._threads:
            thread.join(10)
        self.process.stdout.close()
        self.process.stderr.close()
        return code, (self.events("summary") or [None])[-1]


@pytest.fixture
def watch():
    """Start watches that end with the test."""
    watches = []

    def start(*arguments, **options):
        watches.append(Watch(*arguments, **options))
        return watches[-1]

    yield start
    for one in watches:
        if one.process.poll() is None:
            one.process.kill()
            one.end()
        for stream in (one.process.stdout, one.process.stderr, one.process.stdin):
            if stream:
                stream.close()

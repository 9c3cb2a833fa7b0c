"""Keys as they are pressed."""

import sys

import pytest

from .terminal import Terminal

ASKING = """
import select, sys, termios
from analyzer.keyboard import Keyboard

def announce(*arguments):
    ready = before(*arguments)
    if ready[0] and "forget" in sys.argv:
        termios.tcflush(0, termios.TCIFLUSH)
    return ready

before, select.select = select.select, announce
with Keyboard() as keys:
    print("ready", flush=True)
    said = keys.pressed(60)
    print("pressed", repr(said), keys.there, flush=True)
    print("and then", repr(keys.pressed(0)), flush=True)
"""
"""Says what was pressed; with the word forget, as if Ctrl-C came between the terminal's saying so and the asking."""


@pytest.mark.parametrize(("what", "said"), [("keep", "'o'"), ("forget", "''")])
def test_keys_that_the_terminal_forgets_are_not_waited_for(what, said):
    terminal = Terminal(sys.executable, "-c", ASKING, what)
    terminal.await_shown("ready", 60)
    terminal.press("o")
    terminal.await_shown(f"pressed {said} True", 30)
    terminal.await_shown("and then ''", 30)
    assert terminal.wait() == 0

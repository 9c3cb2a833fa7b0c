"""Make the captures of this folder again: python captures/make.py [SCENE...]

It needs root (for network namespaces and recording) and the programs that it plays with.
"""

import os
import signal
import sys
import time
from types import FrameType

from figures import count, write_table, write_truth
from scenes import SCENES, Scene
from stage import HERE, Stage, StageError, program

ALWAYS = ("ip", "ss", "tcpdump", "tshark")


def make(name: str, scene: Scene) -> None:
    """Play one scene and write its capture and its figures."""
    begin = time.monotonic()
    capture = HERE / scene.file
    with Stage(name, capture, scene.hosts) as stage:
        scene.play(stage)
        stage.keep()
    figures = count(capture)
    write_truth(name, figures)
    took = time.monotonic() - begin
    print(f"{scene.file}: {figures.packets} packets, {figures.messages} SIP messages, in {took:.0f} s", flush=True)


def check(names: list[str]) -> None:
    """Raise StageError for whatever is missing, before anything is begun."""
    for name in names:
        if name not in SCENES:
            raise StageError(f"there is no scene '{name}'; there are {', '.join(SCENES)}")
    if os.geteuid() != 0:
        raise StageError("making captures needs root, for network namespaces and recording")
    for needed in (*ALWAYS, *(needed for name in names for needed in SCENES[name].programs)):
        program(needed)


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def main() -> int:
    """Make the scenes that are named, or all."""
    names = sys.argv[1:] or list(SCENES)
    signal.signal(signal.SIGTERM, _stop)
    try:
        check(names)
        for name in names:
            make(name, SCENES[name])
        write_table({name: scene.file for name, scene in SCENES.items()})
    except StageError as error:
        print(f"make.py: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("make.py: stopped; nothing is left running", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())

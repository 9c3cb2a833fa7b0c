"""Files that are written whole or not at all."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO

from analyzer.errors import SettingsError


@contextmanager
def open_whole(path: str | Path) -> Iterator[BinaryIO]:
    """Open a new file that takes the place of the one at path when, and only when, all of it is written.

    A path that is no regular file (a pipe, a device) is written to directly.
    Raises SettingsError if the path cannot be written.
    """
    try:
        target = Path(path).resolve()
        if target.exists() and not target.is_file():
            with target.open("wb") as file:
                yield file
        else:
            yield from _replace(target)
    except OSError as error:
        raise SettingsError(f"cannot write '{path}': {error.strerror or error}") from error


def refuse_output(output: str | Path, inputs: Sequence[Path]) -> None:
    """Raise SettingsError if the output exists, or is one of the inputs."""
    target = Path(output)
    if target.is_dir():
        raise SettingsError(f"'{output}' is a folder; name a file in it")
    for path in inputs:
        if target.exists() and path.exists() and target.samefile(path):
            raise SettingsError(f"'{output}' is the capture that is read; choose another name for what is written")
    if target.exists() or target.is_symlink():
        raise SettingsError(f"'{output}' exists already; choose another name, or remove it first")
    if not target.absolute().parent.is_dir():
        raise SettingsError(f"cannot write '{output}': there is no folder '{target.parent}'; make it first")


def make_folder(path: str | Path) -> Path:
    """Return the folder at path, made if need be; raise SettingsError if that cannot be done."""
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise SettingsError(f"cannot make the folder '{folder}': {error.strerror or error}") from error
    return folder


def _replace(target: Path) -> Iterator[BinaryIO]:
    unfinished = target.with_name(f".{target.name[:100]}.{token_hex(4)}.part")
    try:
        with unfinished.open("xb") as file:
            yield file
        unfinished.replace(target)
    finally:
        unfinished.unlink(missing_ok=True)

"""What there is to look up, as Markdown: commands, tables and detectors, each described where it is defined.

`sipscope help TOPIC` shows a page, and `docs/` holds all of them (docs/make.py).
"""

import ast
import inspect
import textwrap
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import Any, cast

import click

from analyzer.tables import COLUMNS, LIST, TABLES, Table

DTYPES = {LIST: "object (a sorted list)"}
"""How dtypes are called here, where their own name would not say enough."""


def command_page(name: str, command: click.Command) -> str:
    """Return what a command does, takes, and is told; of a group, what each of its commands does."""
    context = click.Context(
        command, info_name=f"sipscope {name}", help_option_names=["-h", "--help"], terminal_width=100
    )
    parts = [f"# sipscope {name}", _paragraphs(command.help or "")]
    if isinstance(command, click.Group):
        parts += [
            _below(command_page(f"{name} {inner}", command.commands[inner])) for inner in command.list_commands(context)
        ]
        return "\n\n".join(parts)
    parts.append(f"```\n{command.get_usage(context)}\n```")
    options = [param.get_help_record(context) for param in command.get_params(context)]
    rows = [(f"`{_cell(record[0])}`", _cell(record[1])) for record in options if record]
    return "\n\n".join([*parts, _table(("option", "what it does"), rows)])


def table_page(table: Table) -> str:
    """Return the columns of a table: name, dtype and meaning."""
    columns = [COLUMNS[name] for name in table.columns]
    rows = [(f"`{column.name}`", DTYPES.get(column.dtype, column.dtype), _cell(column.meaning)) for column in columns]
    return f"# The {table.name} table\n\n{_table(('column', 'dtype', 'meaning'), rows)}"


def detector_page(name: str) -> str:
    """Return how a detector decides: its docstring, and each threshold with its default."""
    from analyzer.detectors import DETECTORS

    detector: Any = DETECTORS[name]
    meanings = _meanings(detector)
    rows = [
        (f"`{field.name}`", _value(field.default), _cell(meanings.get(field.name, ""))) for field in fields(detector)
    ]
    kind = f"Finds attacks of the kind **{detector.kind}**" + (
        f", ATT&CK technique {detector.technique}." if getattr(detector, "technique", None) else "."
    )
    settings = f"In a settings file, thresholds are set under `[detectors.{name}]`; times are in seconds."
    parts = [f"# The detector {name}", kind, inspect.getdoc(detector) or ""]
    return "\n\n".join([*parts, *([settings, _table(("threshold", "default", "meaning"), rows)] if rows else [])])


def pages(commands: Mapping[str, click.Command]) -> dict[str, Callable[[], str]]:
    """Return what can be looked up, by name, each as a function that makes its page.

    A command that writes a table tells of its columns too.
    """
    from analyzer.detectors import DETECTORS

    found: dict[str, Callable[[], str]] = {name: partial(detector_page, name) for name in DETECTORS}
    found |= {name: partial(table_page, table) for name, table in TABLES.items()}
    return found | {name: partial(_command_and_table, name, command) for name, command in commands.items()}


def _command_and_table(name: str, command: click.Command) -> str:
    parts = [command_page(name, command)]
    if name in TABLES:
        parts.append(_below(table_page(TABLES[name])))
    return "\n\n".join(parts)


def _meanings(kind: type) -> dict[str, str]:
    """Return the sentence after each field of a class."""
    body = cast("ast.ClassDef", ast.parse(textwrap.dedent(inspect.getsource(kind))).body[0]).body
    return {
        ast.unparse(field.target): str(after.value.value)
        for field, after in pairwise(body)
        if isinstance(field, ast.AnnAssign) and isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
    }


def _value(value: object) -> str:
    """Return a default as people read it; words in their order, which a set has not."""
    if isinstance(value, timedelta):
        return f"{value.total_seconds():g} s"
    return ", ".join(sorted(value)) if isinstance(value, frozenset) else f"{value}"


def _below(page: str) -> str:
    """Return a page as a part of another: its headings one lower."""
    return "\n".join(f"#{line}" if line.startswith("#") else line for line in page.splitlines())


def _paragraphs(text: str) -> str:
    """Return the help of a command with its example as code."""
    parts = [" ".join(part.split()) for part in inspect.cleandoc(text).split("\n\n")]
    return "\n\n".join(
        f"    {part.removeprefix('Example: ')}" if part.startswith("Example: ") else part for part in parts
    )


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def _table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [head, ("---",) * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)

"""The conventions: imports point one way, heavy libraries stay home, everything explains itself."""

import ast
import dataclasses
import subprocess
import sys
from pathlib import Path

import click
import pytest
from needs import ROOT

from analyzer import tables
from analyzer.cli import cli
from analyzer.detectors import DETECTORS
from analyzer.engines import ENGINES
from analyzer.exports import EXPORTS
from analyzer.tables import COLUMNS

PACKAGE = ROOT / "analyzer"
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))
TIERS = [
    {"errors", "formats", "pcapng", "quantities"},
    {"tables", "registry", "decompress", "compiled", "workers", "memory", "addresses", "regions", "segments"},
    {"capture", "recorders"},
    {"recording", "tap", "standings"},
    {"feeds"},
    {"engines"},
    {"dialling", "records", "responses"},
    {"sip"},
    {"grouping", "window"},
    {"handwriting"},
    {"links"},
    {"evidence", "strays"},
    {"calls"},
    {"detectors", "tools", "sources", "allow", "places"},
    {"campaigns", "settings"},
    {"exports", "blocking"},
    {"blocklists"},
    {"reports"},
    {"sharing"},
    {"abuse", "ledger"},
    {"reading", "narrowing"},
    {"store", "history"},
    {"analysis"},
    {"storing", "live", "extracting", "anonymizing"},
    {"jobs"},
    {"__init__"},
    {"progress", "reference", "keyboard"},
    {"commands"},
    {"cli"},
    {"__main__"},
]
HEAVY = {"pandas", "numba", "numpy", "matplotlib", "scapy", "pyshark", "pyarrow", "scipy", "phonenumbers"}
FORBIDDEN = {"utils", "helpers", "common", "core", "manager"}


def part(module):
    """Return the part of the package that a dotted module name belongs to."""
    return ([*module.split("."), "__init__"])[1]


def tier(name):
    return next(number for number, names in enumerate(TIERS) if name in names)


def imported(tree):
    """Yield the modules that a file imports at run time; those for the type checker alone are left out."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module
        yield from imported(node)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    own = path.relative_to(PACKAGE).with_suffix("").parts[0]
    for module in imported(ast.parse(path.read_text())):
        if module.split(".")[0] == "analyzer" and part(module) != own:
            assert tier(part(module)) < tier(own), f"{path.name} imports {module}"


def test_every_part_has_its_place():
    parts = {path.relative_to(PACKAGE).with_suffix("").parts[0] for path in MODULES}
    assert parts == set().union(*TIERS)


def test_no_module_is_a_drawer():
    assert not FORBIDDEN & {path.stem for path in MODULES}


def loaded(*arguments):
    code = (
        "import sys; sys.argv[1:] = %r\n"
        "from analyzer.cli import main\n"
        "try: main()\n"
        "except SystemExit: pass\n"
        "print(' '.join(sys.modules), file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code % list(arguments)], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stderr.split()}


@pytest.mark.parametrize("arguments", [["--help"], ["report", "--help"], ["--version"]])
def test_help_loads_nothing_heavy(arguments):
    assert not HEAVY & loaded(*arguments)


def test_the_package_loads_nothing_heavy():
    code = "import analyzer, sys; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not HEAVY & {name.split(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize("name", list(cli.commands))
def test_every_command_has_help_and_an_example(name):
    command = cli.commands[name]
    assert command.help
    assert f"Example: sipscope {name}" in command.help
    for option in command.params:
        assert isinstance(option, click.Argument) or option.help, f"{name} {option.name} says nothing"


@pytest.mark.parametrize("name", list(DETECTORS))
def test_a_detector_is_a_frozen_dataclass_that_explains_its_thresholds(name):
    detector = DETECTORS[name]
    assert dataclasses.is_dataclass(detector)
    with pytest.raises(dataclasses.FrozenInstanceError):
        detector().confidence = 1
    assert detector.__doc__
    source = Path(sys.modules[detector.__module__].__file__).read_text()
    body = next(node for node in ast.parse(source).body if isinstance(node, ast.ClassDef))
    for field, after in zip(body.body, body.body[1:], strict=False):
        if isinstance(field, ast.AnnAssign) and "ClassVar" not in ast.unparse(field.annotation):
            assert isinstance(after, ast.Expr), f"{name}.{ast.unparse(field.target)} has no sentence"


@pytest.mark.parametrize("registry", [DETECTORS, ENGINES, EXPORTS], ids=lambda registry: registry.kind)
def test_everything_registered_can_be_had(registry):
    assert all(callable(registry[name]) for name in registry)


def test_every_column_is_used_and_means_something():
    every = [table for table in vars(tables).values() if isinstance(table, tables.Table)]
    assert set(COLUMNS) == {name for table in every for name in table.columns}
    assert all(column.meaning for column in COLUMNS.values())


def test_public_names_exist():
    import analyzer

    assert all(getattr(analyzer, name) for name in analyzer.__all__)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_nothing_prints(path):
    if path.stem in {"cli", "terminal"}:
        return
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    assert not [call for call in calls if isinstance(call.func, ast.Name) and call.func.id == "print"]

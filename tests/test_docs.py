"""What the documents promise exists."""

import importlib.util
import re
import struct

import pytest
from click.testing import CliRunner
from needs import CAPTURES, ROOT, program

from analyzer.cli import cli
from analyzer.detectors import DETECTORS, configure
from analyzer.engines import ENGINES
from analyzer.exports import EXPORTS
from analyzer.reference import detector_page
from analyzer.tools import load_signatures

README = (ROOT / "README.md").read_text(encoding="utf-8")


def script(name):
    """Return a script of docs/, imported."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", ROOT / "docs" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_command_is_in_the_readme():
    table = set(re.findall(r"^\| `sipscope (\w+)", README, re.MULTILINE))
    assert table == set(cli.commands)


def test_every_option_in_the_readme_exists():
    options = {option for command in cli.commands.values() for param in command.params for option in param.opts}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", README)) <= options


@pytest.mark.parametrize("target", sorted(set(re.findall(r"\bmake ([a-z]+)`", README + "make report` make test`"))))
def test_every_make_target_exists(target):
    assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_the_settings_in_the_readme_are_allowed():
    import tomllib

    (text,) = re.findall(r"```toml\n(.*?)```", README, re.DOTALL)
    assert configure(tomllib.loads(text)["detectors"])


def test_every_link_leads_somewhere():
    for name in ("README.md", "CONTRIBUTING.md", "captures/README.md", "docs/README.md", "docs/extending.md"):
        folder = (ROOT / name).parent
        prose = re.sub(r"```.*?```", "", (ROOT / name).read_text(encoding="utf-8"), flags=re.DOTALL)
        for target in re.findall(r"\]\((?!http|#)([^)#]+)", prose):
            assert (folder / target).exists(), f"{name}: {target}"


def test_no_registry_is_named():
    words = ("py" + "pi.org", "python" + "hosted", "npm" + "js", "deb" + ".debian")
    for path in [*ROOT.glob("*.*"), *ROOT.glob(".ci/*"), ROOT / "Makefile"]:
        if path.is_file():
            assert not [word for word in words if word in path.read_text(encoding="utf-8", errors="replace")], path


def test_the_example_in_the_readme_is_what_the_command_says(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    said = CliRunner().invoke(cli, ["report", "captures/", "-o", str(tmp_path / "report")]).output.splitlines()
    (example,) = re.findall(r"\$ sipscope report captures/\n(.*?)```", README, re.DOTALL)
    lines = [line for line in example.splitlines() if line.strip() not in ("", "…")]
    assert len(lines) > 10
    assert [line for line in lines if line not in said] == []


def test_the_generated_pages_are_what_the_code_says():
    pages = script("make").pages()
    there = {str(path.relative_to(ROOT / "docs")) for path in (ROOT / "docs").glob("*/*.md")}
    assert there == set(pages)
    assert [path for path, text in pages.items() if (ROOT / "docs" / path).read_text(encoding="utf-8") != text] == []


def test_the_pictures_are_of_reports_as_they_are(tmp_path):
    program("chromium")
    for path in script("pictures").take(tmp_path, CAPTURES):
        kept = ROOT / "docs" / "pictures" / path.name
        now, then = (struct.unpack(">II", shot.read_bytes()[16:24]) for shot in (path, kept))
        assert now[0] == then[0], f"{path.name}: run docs/pictures.py"


def test_every_threshold_has_a_meaning():
    for name in DETECTORS:
        rows = [line for line in detector_page(name).splitlines() if line.startswith("| `")]
        assert [row for row in rows if row.endswith("|  |")] == []


def test_the_python_of_the_page_on_extending_runs(tmp_path, monkeypatch):
    (tmp_path / "captures").symlink_to(ROOT / "captures")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ENGINES, "_entries", dict(ENGINES._entries))
    monkeypatch.setattr(EXPORTS, "_entries", dict(EXPORTS._entries))
    code = re.findall(r"```python\n(.*?)```", (ROOT / "docs" / "extending.md").read_text(encoding="utf-8"), re.DOTALL)
    assert len(code) == 4
    exec(compile("\n".join(code), "extending.md", "exec"), {"__name__": "extending"})  # noqa: S102
    assert (tmp_path / "campaigns.tsv").read_text().count("\n") > 5


def test_the_signature_of_the_page_on_extending_is_allowed(tmp_path):
    text = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
    (toml,) = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    (tmp_path / "mine.toml").write_text(toml)
    assert "Dialomat" in load_signatures(tmp_path / "mine.toml").tools


@pytest.mark.parametrize("topic", ["report", "messages", "captures", "password-guessing"])
def test_topics_are_shown(topic):
    said = CliRunner().invoke(cli, ["help", topic])
    assert said.exit_code == 0
    assert said.output.startswith(f"# {'sipscope ' if topic in cli.commands else 'The '}")
    assert "| --- |" in said.output


def test_a_topic_that_there_is_not_is_said_to_be_none():
    said = CliRunner().invoke(cli, ["help", "password-guesing"])
    assert said.exit_code == 2
    assert "Did you mean 'password-guessing'?" in said.output
    listed = CliRunner().invoke(cli, ["help"]).output
    assert all(f" {name}" in listed for name in (*cli.commands, *DETECTORS))


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shells_complete(shell):
    script = CliRunner().invoke(cli, ["completion", shell]).output
    assert "_SIPSCOPE_COMPLETE" in script
    environment = {"_SIPSCOPE_COMPLETE": "bash_complete", "COMP_WORDS": "sipscope rep", "COMP_CWORD": "1"}
    assert "plain,report" in CliRunner().invoke(cli, [], env=environment, prog_name="sipscope").output

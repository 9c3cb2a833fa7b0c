"""What the documents promise exists."""

import re

import pytest
from needs import ROOT

from analyzer.cli import cli
from analyzer.detectors import configure

README = (ROOT / "README.md").read_text(encoding="utf-8")


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
    for name in ("README.md", "CONTRIBUTING.md", "captures/README.md"):
        folder = (ROOT / name).parent
        for target in re.findall(r"\]\((?!http|#)([^)#]+)", (ROOT / name).read_text(encoding="utf-8")):
            assert (folder / target).exists(), f"{name}: {target}"


def test_no_registry_is_named():
    words = ("py" + "pi.org", "python" + "hosted", "npm" + "js", "deb" + ".debian")
    for path in [*ROOT.glob("*.*"), *ROOT.glob(".ci/*"), ROOT / "Makefile"]:
        if path.is_file():
            assert not [word for word in words if word in path.read_text(encoding="utf-8", errors="replace")], path


def test_the_example_in_the_readme_is_what_the_command_says(tmp_path, monkeypatch):
    from click.testing import CliRunner

    monkeypatch.chdir(ROOT)
    said = CliRunner().invoke(cli, ["report", "captures/", "-o", str(tmp_path / "report")]).output.splitlines()
    (example,) = re.findall(r"\$ sipscope report captures/\n(.*?)```", README, re.DOTALL)
    lines = [line for line in example.splitlines() if line.strip() not in ("", "…")]
    assert len(lines) > 10
    assert [line for line in lines if line not in said] == []

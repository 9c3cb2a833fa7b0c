import re
import subprocess

import pytest
from needs import program

from analyzer.errors import SettingsError
from analyzer.jobs.settings import EXAMPLE, load_job
from analyzer.jobs.unit import crontab, units, write_units

SPOOL = """\
[spool]
folder = "/var/spool/sip"
[folders]
tables = "/var/lib/x/t"
reports = "/srv/r"
[report]
covers = "60d"
"""
COMMAND = '[[after_report]]\ncommand = ["/bin/true"]\n'
JOBS = {"records": EXAMPLE, "spool": SPOOL + 'every = "1d"\n', "tells": SPOOL + COMMAND}
BEST = 3.0
"""The exposure that systemd must find less of."""


def made(tmp_path, text):
    file = tmp_path / "the office.toml"
    file.write_text(text)
    return units(load_job(file))


@pytest.mark.parametrize("name", JOBS)
def test_systemd_accepts_the_units_and_finds_them_hardened(name, tmp_path):
    analyse = program("systemd-analyze")
    for path in write_units(made(tmp_path, JOBS[name]), str(tmp_path / "units")):
        done = subprocess.run([analyse, "verify", path], capture_output=True, text=True, timeout=60)
        assert (done.returncode, done.stdout + done.stderr) == (0, "")
        if path.suffix == ".service":
            done = subprocess.run(
                [analyse, "security", "--offline=true", path], capture_output=True, text=True, timeout=60
            )
            (exposure,) = re.findall(r"exposure level for \S+: ([\d.]+)", done.stdout)
            assert float(exposure) < BEST


def test_only_what_records_has_rights_and_a_network(tmp_path):
    record, report, _timer = made(tmp_path, EXAMPLE).values()
    assert "AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN\n" in record
    assert "CapabilityBoundingSet=\n" in report
    assert "PrivateNetwork=yes" in report
    assert "ProtectSystem=strict" in record
    assert "ProtectSystem=strict" in report
    assert "User=sipscope" in record
    assert "StateDirectory=sipscope/captures\n" in record


def test_a_path_is_a_path_to_systemd_too(tmp_path):
    folder = tmp_path / "100% $HOME"
    folder.mkdir()
    assert f'"{tmp_path}/100%% $$HOME/the office.toml"' in made(folder, SPOOL)["sipscope-the-office.service"]


@pytest.mark.parametrize(
    ("every", "times", "cron"),
    [
        ("15s", ["OnCalendar=*-*-* *:*:00/15 UTC"], None),
        ("1m", ["OnCalendar=*-*-* *:*:00 UTC"], "* * * * *"),
        ("15m", ["OnCalendar=*-*-* *:00/15:00 UTC"], "0-59/15 * * * *"),
        ("1h", ["OnCalendar=*-*-* *:00:00 UTC"], "0 * * * *"),
        ("6h", ["OnCalendar=*-*-* 00/6:00:00 UTC"], "0 0-23/6 * * *"),
        ("1d", ["OnCalendar=*-*-* 00:00:00 UTC"], "0 0 * * *"),
        ("7d", ["OnCalendar=Mon *-*-* 00:00:00 UTC"], "0 0 * * 1"),
        ("8h", ["OnCalendar=*-*-* 00/8:00:00 UTC"], "0 0-23/8 * * *"),
        ("7h", ["OnBootSec=1min", "OnUnitActiveSec=25200s"], None),
    ],
)
def test_the_times_of_the_schedule_are_those_of_the_timer(every, times, cron, tmp_path):
    text = SPOOL + f'every = "{every}"\n'
    timer = made(tmp_path, text)["sipscope-the-office.timer"]
    assert [line for line in timer.splitlines() if line.startswith("On")] == times
    job = load_job(tmp_path / "the office.toml")
    if cron is None:
        with pytest.raises(SettingsError, match=r"report\.every: cron cannot say"):
            crontab(job)
    else:
        assert crontab(job).startswith(cron + " ")
        assert "job run --once --quiet" in crontab(job)
        assert "'" in crontab(job)

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from needs import program

from analyzer.cli import cli
from analyzer.commands.record import RECORDER_NAMES
from analyzer.errors import AnalyzerError, CaptureError, SettingsError, UnavailableError
from analyzer.pcapng import Lost
from analyzer.recorders import RECORDERS, choose, make_order
from analyzer.recorders.interfaces import has_tags, is_up, list_interfaces
from analyzer.recording import Gap, Recorded, Recording, record

COUNTERS = "Packets received/dropped on interface 'far': 9/3 (pcap:2/dumpcap:1/flushed:4/ps_ifdrop:5) (75.0%)\n"
TOLD = "9 packets captured\n9 packets received by filter\n1 packet dropped by kernel\n"


def run(*arguments):
    return CliRunner().invoke(cli, ["record", *arguments])


@pytest.fixture
def recording(monkeypatch):
    """Return the list of what the command asks to have recorded, instead of recording it."""
    asked = []

    def note(recording, **_):
        asked.append(recording)
        return Recorded(packets=0, dropped=None, segments=(), gaps=())

    monkeypatch.setattr("analyzer.recording.record", note)
    return asked


def test_the_options_are_what_is_recorded(recording):
    done = run("eth0", "-o", "out", "--every", "5m", "--size", "10MB", "--duration", "1h", "--packets", "7",
               "--port", "5060", "--port", "5070-5080", "--promiscuous", "--recorder", "tcpdump")  # fmt: skip
    assert done.exit_code == 0
    assert recording == [
        Recording(
            interface="eth0", folder="out", recorder="tcpdump", ports=(5060, (5070, 5080)), period=timedelta(minutes=5),
            most_bytes=10_000_000, duration=timedelta(hours=1), packets=7, promiscuous=True,
        )
    ]  # fmt: skip
    assert done.output.splitlines() == [
        "Recorded 0 packets in 0 segments from eth0; drops unknown",
        "Next: sipscope report out",
    ]


def test_without_options_it_is_the_default(recording):
    assert run("eth0", "-o", "out", "-q").output == ""
    assert recording == [Recording(interface="eth0", folder="out")]


@pytest.mark.parametrize(
    "options",
    [
        ["--every", "5 minutes"], ["--every", "0s"], ["--size", "0"], ["--size", "5XB"], ["--port", "70000"],
        ["--port", "5080-5060"], ["--packets", "0"], ["--recorder", "wireshark"], ["--duration", "0.5s"],
    ],
)  # fmt: skip
def test_what_is_not_allowed_is_told(recording, options):
    done = run("eth0", "-o", "out", *options)
    assert done.exit_code == 2
    assert "Error: Invalid value for" in done.output
    assert recording == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"packets": 0}, {"most_bytes": 0}, {"period": timedelta(milliseconds=1)}, {"duration": timedelta(0)},
        {"ports": (0,)}, {"ports": ((5080, 5060),)}, {"filter": "udp", "ports": (5070,)},
    ],
)  # fmt: skip
def test_the_library_refuses_it_too(wrong):
    with pytest.raises(SettingsError):
        Recording(interface="lo", folder="out", **wrong)


def test_the_names_of_the_recorders_are_the_same():
    assert tuple(RECORDERS) == RECORDER_NAMES


def test_an_interface_that_is_missing_is_told(tmp_path):
    with pytest.raises(CaptureError, match=r"^nosuch0: there is no such interface; choose from .*lo.*or any for all$"):
        record(Recording(interface="nosuch0", folder=tmp_path))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["", "-D"])
def test_an_interface_is_no_option(name):
    with pytest.raises(SettingsError, match="cannot be the name of an interface"):
        make_order(name)


def test_interfaces_are_seen():
    assert "lo" in list_interfaces()
    assert (is_up("any"), is_up("nosuch0")) == (True, False)
    assert (has_tags("any"), has_tags("nosuch0"), has_tags("lo")) == (False, False, True)
    assert "vlan" in make_order("lo").filter
    assert "vlan" not in make_order("any").filter


@pytest.fixture
def bare(monkeypatch, tmp_path):
    """Return a folder that is the only one with programs."""
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr("analyzer.recorders.PLACES", str(tmp_path))
    return tmp_path


def test_what_is_missing_is_named(bare):
    with pytest.raises(UnavailableError, match=r"the program dumpcap is missing; install .*wireshark-common"):
        choose("dumpcap")
    with pytest.raises(UnavailableError, match=r"the program tcpdump is missing; install it"):
        choose("tcpdump")
    with pytest.raises(UnavailableError, match=r"the program tshark is missing; install it"):
        choose("pyshark")
    with pytest.raises(SettingsError, match="there is no recorder 'wireshark'"):
        choose("wireshark")


def test_the_next_recorder_takes_the_place_of_one_that_is_missing(bare, monkeypatch):
    assert choose().name == "scapy"
    (bare / "tcpdump").touch(0o755)
    assert choose().name == "tcpdump"
    (bare / "dumpcap").touch(0o755)
    assert choose().name == "dumpcap"


def test_without_any_recorder_the_best_is_named(bare, monkeypatch):
    for name in ("scapy", "pyshark"):
        monkeypatch.setattr(f"analyzer.recorders.{name}.find_spec", lambda _: None)
    with pytest.raises(UnavailableError, match="dumpcap is missing"):
        choose()
    for name in ("scapy", "pyshark"):
        with pytest.raises(UnavailableError, match=f"the Python package {name} is missing; install it with pip"):
            choose(name)


def test_a_program_that_may_not_be_run_is_told(bare):
    (bare / "dumpcap").touch(0o640)
    with pytest.raises(UnavailableError, match=r"you may not run .*/dumpcap; join the group that may"):
        choose("dumpcap")


def test_counters_are_understood():
    assert RECORDERS["dumpcap"].lost(COUNTERS) == Lost(received=9, kernel=7, interface=5)
    assert RECORDERS["tcpdump"].lost(TOLD) == Lost(received=9, kernel=1)
    assert RECORDERS["tcpdump"].lost(TOLD + "2 packets dropped by interface\n").total == 3
    for name, words in (("dumpcap", TOLD), ("tcpdump", COUNTERS), ("scapy", TOLD), ("pyshark", COUNTERS)):
        assert RECORDERS[name].lost(words).total is None


@pytest.mark.parametrize("name", RECORDER_NAMES)
def test_a_recorder_is_asked_as_it_wants_to_be(name):
    order = make_order("lo", filter="udp", promiscuous=True)
    program("tcpdump" if name == "tcpdump" else "tshark")
    command = RECORDERS[name].command(order, "-")
    assert {"lo", "udp"} <= set(command)
    assert ("-p" in RECORDERS[name].command(make_order("lo"), "-")) == (name in ("dumpcap", "tcpdump"))
    assert RECORDERS[name].explain("all is well", order) is None


def test_a_gap_is_told_in_words():
    start = datetime(2026, 11, 22, 9, 14, 0, 5, UTC)
    gap = Gap(start=start, end=start + timedelta(minutes=1), why="the interface eth0 was down")
    told = "recording gap: nothing from 2026-11-22 09:14:00 to 2026-11-22 09:15:00 UTC, the interface eth0 was down"
    assert str(gap) == told


@pytest.mark.parametrize("name", ["file", "file/below"])
def test_a_folder_that_is_none_is_told(tmp_path, name):
    (tmp_path / "file").touch()
    with pytest.raises(AnalyzerError, match="is no folder; choose another name"):
        record(Recording(interface="lo", folder=tmp_path / name))


def test_the_guard_needs_nothing_of_the_package():
    from analyzer.recorders import guard

    assert "analyzer" not in Path(guard.__file__).read_text(encoding="utf-8").split('"""')[2]

"""Strays: what packets without SIP add up to, who probes with them, and who only looks as if."""

import numpy as np
import pandas as pd
import pytest
from factories import messages

from analyzer.engines import strays as kinds
from analyzer.strays import find_probers, remark_strays, stray_part, strays_table
from analyzer.tables import SOURCES, STRAYS

HOUR = 3_600 * 10**9
ME, THEM = 0x0A000001, 0xC6336400
"""10.0.0.1, and 198.51.100.0."""


def row(kind=kinds.SYN, *, source=ME, destination=THEM, port=5060, number=1, time=0, packets=1, source_port=0):
    found = np.zeros(1, kinds.STRAY)[0]
    found["kind"], found["number"], found["packets"] = kind, number, packets
    found["start"] = found["end"] = time
    found["source"][1], found["destination"][1] = 0xFFFF00000000 | source, 0xFFFF00000000 | destination
    found["source_port"], found["destination_port"] = source_port, port
    return found


def gathered(*blocks, most=kinds.MOST):
    gathering = kinds.Gathering(most)
    for block in blocks:
        gathering.add(np.array(list(block), kinds.STRAY))
    return gathering


def table(*rows, talk=None, most=kinds.MOST):
    rows = list(rows)
    return strays_table([stray_part(gathered(rows, most=most), "x.pcap")], messages(0) if talk is None else talk)


def sweep(count=254, *, kind=kinds.SYN, source=ME, **columns):
    return [row(kind, source=source, destination=THEM + i, number=1 + i, **columns) for i in range(count)]


# --- adding up


def test_the_same_ends_and_kind_are_one_row_over_blocks():
    again = row(number=9, time=HOUR, packets=3)
    found = gathered([row(time=5), row(kinds.EMPTY, number=2)], [again]).of(kinds.SYN)
    assert found[["number", "start", "end", "packets"]].tolist() == [(1, 5, HOUR, 4)]


def test_a_packet_without_time_is_counted():
    found = gathered([row(time=-1)], [row(time=7)], [row(time=-1)]).of(kinds.SYN)
    assert found[["start", "end", "packets"]].tolist() == [(7, 7, 3)]
    assert gathered([row(time=-1)]).of(kinds.SYN)["start"].tolist() == [-1]


@pytest.mark.parametrize("size", [1, 3, 50])
def test_what_is_kept_of_too_many_does_not_depend_on_blocks(size, monkeypatch):
    monkeypatch.setattr(kinds, "WAITING", 1)
    rows = [row(source=ME + i % 37, number=i) for i in range(100)]
    found = gathered(*(rows[at : at + size] for at in range(0, 100, size)), most=10)
    assert found.of(kinds.SYN)["number"].tolist() == list(range(10))
    assert found.of(kinds.SYN)["packets"].sum() + found.rest[kinds.SYN, 5060] == 100


def test_what_fills_one_group_takes_no_room_of_another():
    found = gathered(sweep(50), [row(kinds.MEDIA, source_port=4000), row(kinds.SPOKEN)], most=5)
    assert len(found.of(kinds.MEDIA)) == len(found.of(kinds.SPOKEN)) == 1
    assert len(found.of(kinds.SYN)) == 5


def test_a_flood_of_forged_sources_is_bounded():
    flood = np.zeros(300_000, kinds.STRAY)
    flood["source"][:, 1] = np.arange(300_000)
    flood["number"], flood["packets"], flood["kind"], flood["destination_port"] = range(300_000), 1, kinds.SYN, 5060
    gathering = kinds.Gathering()
    for at in range(0, 300_000, 30_000):
        gathering.add(flood[at : at + 30_000])
    strays = strays_table([stray_part(gathering, "x.pcap")], messages(0))
    assert len(strays) == kinds.MOST + 1
    assert strays["packets"].sum() == 300_000
    rest = strays[strays["source"].isna()].iloc[0]
    assert (rest["kind"], rest["destination_port"], rest["packets"]) == ("syn", 5060, 100_000)
    assert pd.isna(rest["destination"])
    assert pd.isna(rest["start"])


# --- the table


def test_the_table_says_who_knocked_where():
    strays = table(row(time=5, number=3), row(kinds.EMPTY, port=5080, number=4, packets=2, time=6))
    assert list(strays.columns) == list(STRAYS.columns)
    pd.testing.assert_frame_equal(strays, STRAYS.conform(strays))
    first, second = strays.to_dict("records")
    assert (first["source"], first["destination"], first["destination_port"]) == ("10.0.0.1", "198.51.100.0", 5060)
    assert (first["transport"], first["kind"], first["packet"]) == ("tcp", "syn", 3)
    assert (second["transport"], second["kind"], second["packets"]) == ("udp", "empty", 2)
    assert second["start"] == pd.Timestamp(6, tz="UTC")


def test_there_may_be_none():
    assert len(table()) == 0
    assert find_probers(table()) == []
    pd.testing.assert_frame_equal(remark_strays(SOURCES.empty(), table()), SOURCES.empty())


def test_a_connection_that_carried_something_is_no_stray():
    assert table(row(), row(kinds.SPOKEN)).empty
    assert len(table(row(), row(kinds.SPOKEN, destination=THEM + 1))) == 1
    assert len(table(row(), row(kinds.SPOKEN, source=ME + 1))) == 1
    assert len(table(row(), row(kinds.SPOKEN, port=5061))) == 1


def test_a_port_that_answered_is_open():
    strays = table(row(), row(port=5061, number=2), row(kinds.OPENED, number=3))
    assert strays["opened"].tolist() == [True, False]


def test_who_sent_sip_there_sent_no_strays():
    talk = messages(2, source="10.0.0.1", destination=["198.51.100.0", "198.51.100.1"], destination_port=[5060, 5080])
    empty = [row(kinds.EMPTY, destination=THEM + i, number=i) for i in range(3)]
    assert table(*empty, talk=talk)["destination"].tolist() == ["198.51.100.1", "198.51.100.2"]


# --- who probes


def probers(rows, speakers=()):
    return find_probers(table(*rows), speakers)


@pytest.mark.parametrize("kind", [kinds.SYN, kinds.EMPTY, kinds.GARBAGE])
def test_who_knocks_on_many_strangers_probes(kind):
    (prober,) = probers(sweep(254, kind=kind))
    assert (prober.source, prober.targets, prober.packets, prober.packet) == ("10.0.0.1", 254, 254, 1)
    assert not prober.h323


def test_some_open_ports_among_many_are_told():
    opened = [row(kinds.OPENED, destination=THEM + i, number=900) for i in range(3)]
    (prober,) = probers([*sweep(), *opened])
    assert prober.opened == 3


def test_h323_is_a_remark_only():
    assert probers(sweep(kind=kinds.H323, port=1720)) == []
    (prober,) = probers([*sweep(), row(kinds.H323, port=1720, number=999)])
    assert prober.h323


def test_most_targets_come_first():
    found = probers([*sweep(20), *sweep(30, source=ME + 1), *sweep(10, source=ME + 2)])
    assert [prober.targets for prober in found] == [30, 20, 10]


@pytest.mark.parametrize(
    "rows",
    [
        pytest.param([row(packets=5_000), row(kinds.KEEP_ALIVE, packets=9_000)], id="a phone"),
        pytest.param(sweep(300, kind=kinds.KEEP_ALIVE), id="a server that keeps paths open"),
        pytest.param([row(packets=400, time=0)], id="a phone whose server is down"),
        pytest.param(sweep(9, packets=1_000), id="a balancer with few servers"),
        pytest.param(sweep(40, packets=1_000), id="a balancer with many servers"),
        pytest.param(
            [*sweep(40), *(row(kinds.OPENED, destination=THEM + i, number=99) for i in range(30))],
            id="a balancer that was seen for a moment",
        ),
        pytest.param([row(port=port, number=port) for port in (5060, 5061, 5080)], id="a phone that tries all ports"),
    ],
)
def test_the_innocent_are_not_said_to_probe(rows):
    assert probers(rows) == []


def test_who_speaks_sip_is_not_said_to_probe():
    assert probers(sweep(kind=kinds.EMPTY), {"10.0.0.1"}) == []


def test_packets_without_a_source_accuse_nobody():
    flood = [row(source=ME + i, number=i) for i in range(50)]
    assert find_probers(table(*flood, most=5)) == []


# --- remarks


def remarks(verdict, *rows):
    sources = SOURCES.conform(pd.DataFrame({"source": ["10.0.0.1"], "verdict": [verdict]}), missing=True)
    return remark_strays(sources, table(*rows))["remarks"].tolist()


def test_what_else_an_attacker_did_is_remarked():
    h323 = [row(kinds.H323, port=1720, destination=THEM + i, number=9 + i) for i in range(3)]
    assert remarks("attacking", row(kinds.EMPTY), *h323) == [
        ["also knocked on TCP 1720 (H.323), of 3 addresses", "also probed SIP ports with empty UDP, at 1 address"]
    ]


def test_keep_alives_and_the_innocent_are_not_remarked_on():
    assert remarks("attacking", row(kinds.KEEP_ALIVE)) == [[]]
    assert remarks("innocent", row(kinds.EMPTY)) == [[]]

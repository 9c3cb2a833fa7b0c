from ipaddress import ip_address, ip_network
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from analyzer.allow import AllowList, load_allowed, mark_allowed
from analyzer.errors import SettingsError
from analyzer.tables import SOURCES

OFFICES = """\
# our offices

192.0.2.0/24      # head office
192.0.2.7         # its monitoring
203.0.113.10 - 203.0.113.19  # trunk # 2
198.51.100.9
2001:db8:77::/48#branch
::ffff:10.9.8.7   # old form
"""


@pytest.fixture
def listed(tmp_path):
    def write(text, name="known.txt"):
        file = tmp_path / name
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    return write


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("192.0.2.1", "head office"),
        ("192.0.2.7", "its monitoring"),
        ("::ffff:192.0.2.1", "head office"),
        ("192.0.3.0", None),
        ("203.0.113.9", None),
        ("203.0.113.10", "trunk # 2"),
        ("203.0.113.19", "trunk # 2"),
        ("203.0.113.20", None),
        ("198.51.100.9", "198.51.100.9"),
        ("2001:db8:77:ffff::1", "branch"),
        ("2001:DB8:77:0:0:0:0:1", "branch"),
        ("2001:db8:78::", None),
        ("10.9.8.7", "old form"),
        ("pbx.example.com", None),
        ("", None),
    ],
)
def test_names(listed, address, name):
    assert load_allowed(listed(OFFICES)).name_of(address) == name


def test_missing_addresses_have_no_name(listed):
    assert load_allowed(listed(OFFICES)).names(["192.0.2.1", None, float("nan"), 7]) == [
        "head office",
        None,
        None,
        None,
    ]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"], ids=["LF", "CRLF", "CR"])
@pytest.mark.parametrize("mark", ["", "\N{ZERO WIDTH NO-BREAK SPACE}"], ids=["plain", "BOM"])
def test_line_ends_and_byte_order_mark(listed, end, mark):
    assert load_allowed(listed(mark + OFFICES.replace("\n", end))) == load_allowed(listed(OFFICES))


def test_several_files_are_one_list(listed):
    allow = load_allowed(listed("192.0.2.1 # a"), listed("192.0.2.1 # b\n192.0.2.2 # c", "more.txt"))
    assert allow.names(["192.0.2.1", "192.0.2.2"]) == ["a", "c"]


def test_no_file_and_an_empty_one_allow_nobody(listed):
    assert load_allowed() == load_allowed(listed("\n# nobody\n")) == AllowList()
    assert AllowList().names(["192.0.2.1"]) == [None]
    assert not AllowList().overlaps("0.0.0.0/0")
    assert AllowList().networks() == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("10.0.0.5/24", "write 10.0.0.0/24 for the network, 10.0.0.5 for the address"),
        ("2001:db8::1/64", "write 2001:db8::/64 for the network, 2001:db8::1 for the address"),
        ("10.0.0.0/255.255.255.0", "write 10.0.0.0/24"),
        ("10.0.0.0/33", "is neither an address, nor a network"),
        ("10.0.0.0/", "is neither an address, nor a network"),
        ("10.0.0.9-10.0.0.1", "write 10.0.0.1-10.0.0.9"),
        ("10.0.0.1-20", "needs a whole address after '-': 10.0.0.20"),
        ("10.0.0.1-::2", "write a range for each"),
        ("10.0.0.1-", "is neither an address"),
        ("10.0.0.1-10.0.0.2-10.0.0.3", "is neither an address"),
        ("-", "is neither an address"),
        ("10.0.0.1:5060", "write 10.0.0.1 alone"),
        ("[2001:db8::1]:5060", "write 2001:db8::1 alone"),
        ("fe80::1%eth0", "leave out '%'"),
        ("010.0.0.1", "write 10.0.0.1"),
        ("10.0.0.256", "is neither an address"),
        ("10.0.0", "is neither an address"),
        ("10.0.0.1, 10.0.0.2", "on each line"),
        ("10.0.0.1 office", "its name after '#'"),
        ("pbx.example-net.org", "no name is ever looked up"),
        ("10.0.0.*", "is neither an address"),
        ("167772161", "is neither an address"),
        ("١٠.0.0.1", "is neither an address"),
        ("9" * 10_000, "is too long"),
        ("\x1b[2J", r"'\x1b[2J' is neither"),
    ],
)
def test_a_mistake_is_one_sentence_with_its_line(listed, line, said):
    with pytest.raises(SettingsError) as caught:
        load_allowed(listed(f"# first\r\n192.0.2.1\r\n{line} # name\r\n"))
    text = str(caught.value)
    assert text.startswith(f"{caught.value.file}: line 3: ")
    assert said in text
    assert "\n" not in text
    assert text.isprintable()
    assert len(text) < 400


@pytest.mark.parametrize(
    ("data", "said"),
    [
        ("192.0.2.1".encode("utf-16"), "save it as UTF-8"),
        ("192.0.2.1 # B\xfcro".encode("latin-1"), "save it as UTF-8"),
        (b"192.0.2.1\0", "save it as UTF-8"),
    ],
    ids=["UTF-16", "Latin-1", "NUL"],
)
def test_what_is_no_text_is_refused(listed, data, said):
    with pytest.raises(SettingsError, match=said):
        load_allowed(listed(data))


def test_files_that_cannot_be_read(tmp_path):
    for file in (tmp_path / "missing.txt", tmp_path):
        with pytest.raises(SettingsError, match="cannot be read"):
            load_allowed(file)
    with pytest.raises(SettingsError, match="standard input"):
        load_allowed("-")


def test_a_file_without_end_is_refused(monkeypatch):
    monkeypatch.setattr("analyzer.allow.MOST_BYTES", 1000)
    with pytest.raises(SettingsError, match="at most 1,000 bytes"):
        load_allowed("/dev/zero")


@pytest.mark.parametrize(
    ("network", "names"),
    [
        ("192.0.0.0/16", ["head office", "its monitoring"]),
        ("192.0.2.7", ["its monitoring"]),
        ("192.0.2.128/25", ["head office"]),
        ("192.0.2.130/25", ["head office"]),
        ("203.0.113.16/28", ["trunk # 2"]),
        ("203.0.113.20/30", []),
        ("0.0.0.0/0", ["head office", "its monitoring", "trunk # 2", "198.51.100.9", "old form"]),
        ("::/0", ["branch"]),
        ("2001:db8::/32", ["branch"]),
        ("::ffff:192.0.2.0/120", ["head office", "its monitoring"]),
    ],
)
def test_overlapping(listed, network, names):
    allow = load_allowed(listed(OFFICES))
    assert [entry.name for entry in allow.overlapping(network)] == names
    assert allow.overlaps(ip_network(network, strict=False)) == bool(names)


def test_what_is_no_network_overlaps_nothing_but_is_an_error():
    with pytest.raises(ValueError, match="does not appear"):
        AllowList().overlaps("everybody")


def test_networks_are_as_few_as_can_be(listed):
    allow = load_allowed(listed("10.0.0.4-10.0.0.7\n::1\n10.0.0.0/30\n10.0.0.1\n::ffff:10.0.1.0/120\n"))
    assert [str(network) for network in allow.networks()] == ["10.0.0.0/29", "10.0.1.0/24", "::1/128"]


NETWORKS = st.one_of(
    st.tuples(st.integers(0, 2**32 - 1), st.integers(0, 32)).map(lambda pair: ip_network(pair, strict=False)),
    st.tuples(st.integers(2**96, 2**128 - 1), st.integers(0, 128)).map(lambda pair: ip_network(pair, strict=False)),
)


def some_of(networks):
    """Return addresses in and around the networks."""
    edges = [int(edge) + off for one in networks for edge in (one[0], one[-1]) for off in (-1, 0, 1)]
    return [str(ip_address(value % (2**32 if value < 2**33 else 2**128))) for value in edges] + ["198.51.100.1", "::1"]


@given(st.lists(NETWORKS, max_size=12))
def test_what_is_allowed_is_what_ipaddress_says(networks):
    allow = parsed("".join(f"{network}\n" for network in networks))
    asked = some_of(networks)
    for text, name in zip(asked, allow.names(asked), strict=True):
        address = ip_address(text)
        holding = [network for network in networks if address in network]
        assert (name is not None) == bool(holding)
        if name:
            assert ip_network(name).prefixlen == max(network.prefixlen for network in holding)


@given(st.lists(NETWORKS, max_size=12), NETWORKS)
def test_overlaps_is_what_ipaddress_says(networks, asked):
    text = "".join(f"{network}\n" for network in networks)
    allow = parsed(text)
    shared = any(one.version == asked.version and one.overlaps(asked) for one in networks)
    assert allow.overlaps(asked) == shared


@given(st.lists(NETWORKS, max_size=12))
def test_networks_are_the_same_addresses(networks):
    allow = parsed("".join(f"{network}\n" for network in networks))
    again = parsed("".join(f"{network}\n" for network in allow.networks()))
    asked = some_of(networks)
    assert [name is None for name in allow.names(asked)] == [name is None for name in again.names(asked)]


@given(st.text(max_size=200))
def test_any_text_is_a_list_or_one_sentence(text):
    said = ""
    try:
        parsed(text)
    except SettingsError as error:
        said = str(error)
    assert "\n" not in said


def parsed(text):
    from analyzer.allow import _entries

    return AllowList(tuple(_entries(text, "known.txt")))


def sources(**columns):
    rows = {"source": ["192.0.2.1"], "verdict": ["innocent"], "why": ["keeps alive with OPTIONS"], **columns}
    import pandas as pd

    return SOURCES.conform(pd.DataFrame(rows), missing=True)


@pytest.mark.parametrize(
    ("row", "verdict", "why"),
    [
        ({}, "innocent", "allowed as office; keeps alive with OPTIONS"),
        ({"why": [None]}, "innocent", "allowed as office"),
        ({"verdict": ["suspicious"], "why": ["a stranger"]}, "innocent",
         "allowed as office; of a stranger one would say: a stranger"),
        ({"verdict": ["attacking"], "why": ["sweep (replied)"]}, "attacking",
         "sweep (replied); allowed as office: not to be blocked, but its address may be forged"),
        ({"verdict": ["attacking"], "why": ["sweep (replied)"], "proven": ["credentials"]}, "attacking",
         "sweep (replied); allowed as office: not to be blocked, but it may have been taken over"),
    ],
    ids=["innocent", "no reasons", "suspicious", "attacking", "attacking and proven"],
)  # fmt: skip
def test_what_being_allowed_changes(row, verdict, why):
    (marked,) = mark_allowed(sources(**row), parsed("192.0.2.1 # office")).to_dict("records")
    assert (marked["allowed"], marked["verdict"], marked["why"]) == ("office", verdict, why)


def test_strangers_stay_as_they_are():
    stranger = sources(source=["192.0.2.2"], verdict=["suspicious"])
    marked = mark_allowed(stranger, parsed("192.0.2.1 # office"))
    assert marked["allowed"].isna().all()
    assert marked.drop(columns="allowed").equals(stranger.drop(columns="allowed", errors="ignore"))
    assert mark_allowed(SOURCES.empty(), parsed("192.0.2.1")).empty


@pytest.mark.slow
def test_a_hundred_thousand_of_each_are_quick():
    allow = parsed("".join(f"{ip_address(value * 40_000)} # {value}\n" for value in range(100_000)))
    asked = [str(ip_address(value * 20_000)) for value in range(100_000)]
    started = process_time()
    names = allow.names(asked)
    assert process_time() - started < 5
    assert names == [str(value // 2) if value % 2 == 0 else None for value in range(100_000)]

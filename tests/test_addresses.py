from ipaddress import IPv4Address, IPv6Address, ip_address

from hypothesis import given
from hypothesis import strategies as st

from analyzer.addresses import NO_RANGE, Ranges, number, pack, spans

NEAR = st.integers(-40, 40)
ANCHORS = [0, 40, 2**32 - 41]
FOUR = st.builds(lambda anchor, off: IPv4Address((anchor + off) % 2**32), st.sampled_from(ANCHORS), NEAR)
SIX = st.builds(
    lambda anchor, off: IPv6Address((anchor + off) % 2**128),
    st.sampled_from([0, 0xFFFF << 32, 0x10000 << 32, 2**127, 2**128 - 1]),
    NEAR,
)
ADDRESS = FOUR | SIX | st.ip_addresses()


def plain(address):
    """Return an address in its shorter form."""
    return getattr(address, "ipv4_mapped", None) or address


def between(one, other):
    return (plain(one), plain(other)) if int(plain(one)) <= int(plain(other)) else (plain(other), plain(one))


SPAN = st.tuples(FOUR, FOUR).map(lambda ends: between(*ends)) | st.tuples(SIX, SIX).map(
    lambda ends: tuple(sorted(ends))
).filter(lambda ends: type(plain(ends[0])) is type(plain(ends[1])) is IPv6Address)


def holds(ends, address):
    """Say whether the range holds the address: the slow and obvious twin."""
    first, last = ends
    return type(first) is type(address) and first <= address <= last


@given(st.lists(SPAN, max_size=8), st.lists(ADDRESS, max_size=20))
def test_the_first_named_range_owns_an_address(ranges, addresses):
    made = Ranges.of((*span, owner) for owner, ends in enumerate(ranges) for span in spans(*ends))
    packed, known = pack([str(address) for address in addresses])
    assert known.all()
    for address, owner in zip(addresses, made.find(packed).tolist(), strict=True):
        holders = (place for place, ends in enumerate(ranges) if holds(ends, plain(address)))
        assert owner == next(holders, NO_RANGE)


@given(st.lists(SPAN, max_size=8), SPAN)
def test_ranges_meet_where_they_share_an_address(ranges, asked):
    made = Ranges.of((*span, owner) for owner, ends in enumerate(ranges) for span in spans(*ends))
    met = {owner for piece in spans(*asked) for owner in made.meeting(piece).tolist()}
    sharing = {
        place
        for place, ends in enumerate(ranges)
        if any(low <= high2 and low2 <= high for low, high in spans(*ends) for low2, high2 in spans(*asked))
    }
    assert met <= sharing
    assert bool(met) == bool(sharing)


@given(ADDRESS)
def test_an_address_is_the_same_in_both_of_its_forms(address):
    packed, _ = pack([str(address)])
    assert packed.tobytes() == number(address).to_bytes(16, "big")
    if isinstance(address, IPv4Address):
        assert pack([f"::ffff:{address}"])[0] == packed


@given(st.text(max_size=20) | st.none() | st.floats() | st.integers() | st.binary(max_size=16))
def test_what_is_no_address_is_not_known(value):
    _, (known,) = pack([value])
    try:
        address = ip_address(value) if isinstance(value, str) else None
    except ValueError:
        address = None
    assert known == (address is not None and "%" not in value)


def test_every_ipv6_address_is_no_ipv4_address():
    made = Ranges.of((*span, 0) for span in spans(IPv6Address("::"), IPv6Address(2**128 - 1)))
    packed, _ = pack(["10.0.0.1", "::ffff:10.0.0.1", "::1", "2001:db8::1"])
    assert made.find(packed).tolist() == [NO_RANGE, NO_RANGE, 0, 0]


def test_nothing_in_nothing():
    assert Ranges.of([]).find(pack(["10.0.0.1"])[0]).tolist() == [NO_RANGE]
    assert Ranges.of([]).meeting((0, 9)).tolist() == []
    assert Ranges.of([(0, 9, 0)]).find(pack([])[0]).tolist() == []

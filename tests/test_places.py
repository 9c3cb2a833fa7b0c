import random
import sys
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import maxminddb
import mmdb_writer
import pandas as pd
import pytest
from netaddr import IPSet

from analyzer.errors import SettingsError, UnavailableError
from analyzer.places import KEYS, NOT_PUBLIC, NOWHERE, Place, load_places, place_sources
from analyzer.tables import SOURCES

GERMANY = {"iso_code": "DE", "names": {"de": "Deutschland", "en": "Germany"}, "geoname_id": 2921044}
NETWORK = {"autonomous_system_number": 64496, "autonomous_system_organization": "Example Ltd"}


@pytest.fixture
def database(tmp_path):
    def write(records, *, name="places.mmdb", version=6, kind="Test"):
        writer = mmdb_writer.MMDBWriter(version, kind, ipv4_compatible=version == 6, int_type="u64")
        for network, record in records.items():
            writer.insert_network(IPSet([network]), record)
        file = tmp_path / name
        writer.to_db_file(str(file))
        return file

    return write


@pytest.mark.parametrize(
    ("record", "place"),
    [
        ({"country": GERMANY}, ("DE", "Germany", None, None)),
        ({"city": {"names": {"en": "Berlin"}}, "country": GERMANY, "location": {"latitude": 52.5}},
         ("DE", "Germany", None, None)),
        ({"registered_country": GERMANY}, ("DE", "Germany", None, None)),
        ({"country": {"iso_code": "FR"}, "registered_country": GERMANY}, ("FR", "France", None, None)),
        (NETWORK, (None, None, 64496, "Example Ltd")),
        ({"country": GERMANY, "traits": NETWORK}, ("DE", "Germany", 64496, "Example Ltd")),
        ({"country": "Germany", "country_code": "DE", "asn": "AS64496", "as_name": "Example Ltd", "as_domain": "x"},
         ("DE", "Germany", 64496, "Example Ltd")),
        ({"country": "DE", "country_name": "Germany", "asn": "AS64496", "as_name": "Example Ltd"},
         ("DE", "Germany", 64496, "Example Ltd")),
        ({"country": "DE"}, ("DE", "Germany", None, None)),
        ({"asn": "AS64496", "name": "Example Ltd", "domain": "example.com"}, (None, None, 64496, "Example Ltd")),
        ({"asn": 64496, "country_code": "DE", "name": "EXAMPLE", "org": "Example Ltd"},
         ("DE", "Germany", 64496, "Example Ltd")),
        ({"country_code": "de"}, ("DE", "Germany", None, None)),
        ({"as_number": 64496, "as_organization": "Example Ltd"}, (None, None, 64496, "Example Ltd")),
        ({"country_code": "XK", "country_name": "Kosovo"}, ("XK", "Kosovo", None, None)),
        ({"country_code": "QQ"}, ("QQ", None, None, None)),
        ({"autonomous_system_number": 4200000000}, (None, None, 4200000000, None)),
    ],
    ids=[
        "GeoLite2-Country", "City", "registered only", "of use before registered", "GeoLite2-ASN", "Enterprise",
        "IPinfo Lite", "IPinfo old", "IPinfo short", "IPinfo ASN", "IPLocate ASN", "IPtoASN country", "IPtoASN",
        "name of the database", "no name", "four bytes",
    ],
)  # fmt: skip
def test_layouts(database, record, place):
    assert load_places(database({"5.6.0.0/16": record})).place_of("5.6.7.8") == place


@pytest.mark.parametrize(
    "record",
    [
        {"country": {"iso_code": "ZZ"}}, {"country": {"iso_code": "DEU"}}, {"country": {"iso_code": 49}},
        {"country": ""}, {"country_code": "-"}, {"country_code": "٣٤"}, {"asn": 0}, {"asn": "AS"}, {"asn": "ASx"},
        {"asn": 2**63},
        {"asn": True}, {"asn": "٣"}, {"asn": "AS" + "9" * 5000}, {"as_name": "Example Ltd"}, {"country": ["DE"]}, {},
        {"country": {"names": {"en": "Germany"}}},
    ],
    ids=lambda record: ascii(record)[:40],
)  # fmt: skip
def test_what_makes_no_sense_is_missing(database, record):
    file = database({"5.6.0.0/16": record, "7.0.0.0/8": NETWORK}, name="odd.mmdb")
    assert load_places(file).place_of("5.6.7.8") == NOWHERE


def test_a_long_name_is_cut(database):
    record = {"asn": 64496, "as_name": " " + "x" * 5000}
    assert load_places(database({"5.6.0.0/16": record})).place_of("5.6.7.8").network == "x" * 200


def test_files_complete_each_other_and_networks_come_last(database):
    countries = database({"5.6.0.0/16": {"country": GERMANY}}, name="country.mmdb", kind="GeoLite2-Country")
    networks = database({"5.0.0.0/8": {"asn": 64496, "country_code": "US"}}, name="asn.mmdb", kind="IPLocate-ASN")
    more = database({"5.0.0.0/8": {"asn": 64497, "country_code": "FR"}}, name="more.mmdb")
    for files in ([countries, networks, more], [networks, countries, more]):
        places = load_places(*files)
        assert places.place_of("5.6.7.8") == ("DE", "Germany", 64497, None)
        assert places.place_of("5.7.7.8") == ("FR", "France", 64497, None)
    assert load_places(networks, countries).place_of("5.6.7.8") == ("DE", "Germany", 64496, None)
    assert load_places(networks).place_of("5.6.7.8") == ("US", "United States", 64496, None)
    assert load_places().place_of("5.6.7.8") == NOWHERE


def test_ipv4_databases_know_no_ipv6(database):
    places = load_places(database({"5.6.0.0/16": NETWORK, "128.0.0.0/1": NETWORK}, version=4))
    located = places.locate(["5.6.7.8", "2a00::1", "::ffff:5.6.7.8", "5.7.0.0", "130.0.0.1"])
    assert [place.asn for place in located] == [64496, None, 64496, None, 64496]


@pytest.mark.parametrize("version", [4, 6])
def test_private_and_reserved_addresses_are_nowhere(database, version):
    networks = ["0.0.0.0/1", "128.0.0.0/1"] + (["4000::/2", "8000::/1", "2000::/3"] if version == 6 else [])
    places = load_places(database(dict.fromkeys(networks, NETWORK), version=version))
    for network in map(ip_network, NOT_PUBLIC):
        for address in (network[0], network[-1]):
            assert places.place_of(str(address)) == NOWHERE, address
    for text in ("", "pbx.example.com", "5.6.7", "fe80::1%eth0", None, float("nan")):
        assert places.locate([text]) == [NOWHERE]
    assert places.place_of("5.6.7.8").asn == 64496


def test_nothing_that_is_private_to_python_is_placed():
    networks = [ip_network(network) for network in NOT_PUBLIC]
    rng = random.Random(1)
    for value in [*(rng.getrandbits(32) for _ in range(2000)), *(10 << 24, 2**32 - 1, 127 << 24)]:
        address = IPv4Address(value)
        nowhere = any(address in network for network in networks if network.version == 4)
        assert nowhere == (not address.is_global or address.is_multicast or address.is_reserved), address
    for text in ("2001:db8::1", "fe80::1", "fc00::1", "ff02::1", "::1", "::"):
        assert any(ip_address(text) in network for network in networks if network.version == 6)
    for text in ("2a00::1", "2600::1", "2002:506:708::1", "2400:cb00::1"):
        assert IPv6Address(text).is_global
        assert not any(ip_address(text) in network for network in networks if network.version == 6)


@pytest.mark.parametrize("bits", [24, 28, 32])
@pytest.mark.parametrize("version", [4, 6])
def test_any_tree_is_walked_as_the_library_does(database, monkeypatch, version, bits):
    monkeypatch.setattr(mmdb_writer.TreeWriter, "_adjust_record_size", record_bits(bits))
    rng = random.Random(bits)
    records = {f"{rng.randrange(16, 99)}.{rng.randrange(256)}.{rng.randrange(256)}.0/{rng.randrange(16, 25)}": {
        "autonomous_system_number": number} for number in range(1, 300)}  # fmt: skip
    records |= {f"{ip_address((0x2A << 120) | number << 100)}/48": {"asn": number} for number in range(300, 350)}
    if version == 4:
        records = {network: record for network, record in records.items() if ":" not in network}
    file = database(records, version=version)
    with maxminddb.open_database(file) as reader:
        assert reader.metadata().record_size == bits
        asked = [str(network[offset]) for network, _ in reader for offset in (0, -1) if network.prefixlen > 8]
        asked = [text for text in asked if version == 6 or ":" not in text]
        asked += [str(IPv4Address(rng.randrange(16 << 24, 99 << 24))) for _ in range(2000)] + ["2a00::1", "16.0.0.0"]
        expected = [said(reader, text) for text in asked]
    assert [place.asn for place in load_places(file).locate(asked)] == expected
    assert len(set(expected)) > 200


def record_bits(bits):
    def adjust(writer):
        writer.record_size = bits
        writer.data_offset = bits * 2 // 8 * writer._node_counter

    return adjust


def said(reader, text):
    """Return the number that the library finds for one address."""
    address = ip_address(text)
    address = getattr(address, "ipv4_mapped", None) or address
    if reader.metadata().ip_version == 4 and address.version == 6:
        return None
    record = reader.get(address) or {}
    return record.get("autonomous_system_number") or record.get("asn")


@pytest.mark.parametrize(
    ("write", "said"),
    [
        (lambda file: file.unlink(missing_ok=True), "there is no such database"),
        (lambda file: file.mkdir(), "must be a file"),
        (lambda file: file.write_bytes(b""), "no MaxMind DB file"),
        (lambda file: file.write_text("start,end,country\n"), "no MaxMind DB file"),
        (lambda file: file.write_bytes(bytes(200_000)), "no MaxMind DB file"),
        (lambda file: file.write_bytes(b"\xab\xcd\xefMaxMind.com"), "no MaxMind DB file"),
    ],
    ids=["missing", "folder", "empty", "CSV", "zeros", "no metadata"],
)
def test_what_is_no_database_is_one_sentence(tmp_path, write, said):
    file = tmp_path / "places.mmdb"
    write(file)
    with pytest.raises(SettingsError, match=said) as caught:
        load_places(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["GeoLite2-City.mmdb.gz", "GeoLite2-City.tar.gz"])
def test_a_packed_database_is_to_be_unpacked(tmp_path, name):
    (tmp_path / name).write_bytes(b"\x1f\x8b")
    with pytest.raises(SettingsError, match="unpack it"):
        load_places(tmp_path / name)


def test_a_database_about_something_else_is_refused(database):
    file = database({"5.6.0.0/16": {"connection_type": "Cable/DSL"}}, kind="GeoIP2-Connection-Type")
    with pytest.raises(SettingsError, match="'GeoIP2-Connection-Type' says neither country nor network"):
        load_places(file)


def test_a_database_cut_within_its_records_is_damaged(database):
    file = database({f"5.{number}.0.0/16": {"country": GERMANY, "asn": number} for number in range(200)})
    data = file.read_bytes()
    file.write_bytes(data[:600] + data[data.rindex(b"\xab\xcd\xefMaxMind.com") :])
    with pytest.raises(SettingsError, match="damaged"):
        load_places(file)


def test_a_damaged_database_is_one_sentence_or_says_something(database, tmp_path):
    good = database({f"5.{number}.0.0/16": {"country": GERMANY, "asn": number} for number in range(40)}).read_bytes()
    rng = random.Random(7)
    said, placed = [], []
    for turn in range(600):
        data = bytearray(good)
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(len(data))] = rng.choice([0, 1, 0x7F, 0x80, 0xFF, rng.randrange(256)])
        file = tmp_path / f"damaged-{turn}.mmdb"
        file.write_bytes(data[: rng.randrange(len(data))] if rng.random() < 0.2 else data)
        try:
            placed += load_places(file).locate([f"5.{number}.6.7" for number in range(40)])
        except SettingsError as error:
            said.append(str(error))
        file.unlink()
    assert len(said) > 60
    assert not [text for text in said if "\n" in text or "database" not in text.casefold()]
    assert len(placed) > 60 * 40
    assert all(isinstance(place, Place) for place in placed)


def test_without_the_library_it_is_named(monkeypatch, database):
    file = database({"5.6.0.0/16": NETWORK})
    monkeypatch.setitem(sys.modules, "maxminddb", None)
    with pytest.raises(UnavailableError, match="'maxminddb'; install it with pip"):
        load_places(file)
    assert load_places().databases == ()


def test_sources_are_placed(database):
    addresses = ["5.6.7.8", "10.0.0.1", "5.7.0.1", "5.6.7.9"]
    sources = SOURCES.conform(pd.DataFrame({"source": addresses}), missing=True)
    placed = place_sources(sources, load_places(database({"5.6.0.0/16": {"country": GERMANY, **NETWORK}})))
    assert placed["country"].astype("str").tolist()[0] == "DE"
    assert placed["country_name"].dropna().tolist() == ["Germany"] * 2
    assert placed["asn"].tolist() == [64496, pd.NA, pd.NA, 64496]
    assert placed["network"].isna().tolist() == [False, True, True, False]
    assert place_sources(SOURCES.empty(), load_places()).empty


def test_every_key_looked_for_is_one_that_is_read(database):
    for key in KEYS:
        value = {"iso_code": "DE"} if key.endswith("country") else "DE" if "c" in key else 64496
        record = {"country": {key: value}} if key == "iso_code" else {key: value}
        assert load_places(database({"5.6.0.0/16": record}, name=f"{key}.mmdb")).place_of("5.6.7.8") != NOWHERE


@pytest.mark.slow
def test_a_hundred_thousand_addresses_are_quick(database):
    from time import process_time

    records = {f"{high}.{low}.0.0/16": {"country": GERMANY, "asn": high * 256 + low}
               for high in range(16, 48) for low in range(256)}  # fmt: skip
    places = load_places(database(records))
    rng = random.Random(1)
    asked = [str(IPv4Address(rng.randrange(16 << 24, 48 << 24))) for _ in range(100_000)]
    places.locate(asked[:10])
    started = process_time()
    located = places.locate(asked)
    assert process_time() - started < 2
    assert all(place.asn == int(IPv4Address(text)) >> 16 for text, place in zip(asked, located, strict=True))

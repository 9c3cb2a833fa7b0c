import mmdb_writer
import pytest
from needs import CAPTURES
from netaddr import IPSet

from analyzer import analyze
from analyzer.errors import SettingsError

SWEEP = CAPTURES / "svmap-sweep.pcap"


@pytest.fixture(scope="module")
def abroad(tmp_path_factory):
    """Return a sweep that comes from a public address, the known-good that name its victims, and where it is from."""
    folder = tmp_path_factory.mktemp("abroad")
    data = SWEEP.read_bytes().replace(bytes([203, 0, 113, 66]), bytes([5, 6, 7, 66]))
    (folder / "sweep.pcap").write_bytes(data)
    writer = mmdb_writer.MMDBWriter(4, "GeoLite2-Country")
    record = {"country": {"iso_code": "NL"}, "autonomous_system_number": 64496, "autonomous_system_organization": "X"}
    writer.insert_network(IPSet(["5.6.0.0/16"]), record)
    writer.to_db_file(str(folder / "places.mmdb"))
    return folder


def test_sources_are_named_and_placed(abroad):
    (abroad / "known.txt").write_text("5.6.7.64/26 # a customer")
    (abroad / "more.txt").write_text("203.0.113.67 # the auditor")
    plain = analyze(abroad / "sweep.pcap")
    analysis = analyze(
        abroad / "sweep.pcap", allow=[abroad / "known.txt", abroad / "more.txt"], geoip=abroad / "places.mmdb"
    )
    sources = analysis.sources.set_index("source")
    swept = sources.loc["5.6.7.66"]
    assert (swept["verdict"], swept["allowed"]) == ("attacking", "a customer")
    assert "allowed as a customer: not to be blocked" in swept["why"]
    assert (swept["country"], swept["country_name"], swept["asn"], swept["network"]) == (
        "NL",
        "Netherlands",
        64496,
        "X",
    )
    assert sources.loc["203.0.113.67", ["allowed", "verdict"]].tolist() == ["the auditor", "attacking"]
    assert sources["country"].notna().sum() == 1
    assert analysis.attacks.equals(plain.attacks)
    assert analysis.campaigns.equals(plain.campaigns)
    assert plain.sources[["allowed", "country", "country_name", "asn", "network"]].isna().all(axis=None)


@pytest.mark.parametrize("option", ["allow", "geoip"])
def test_a_mistake_is_told_before_anything_is_read(option, tmp_path):
    with pytest.raises(SettingsError, match="check its path"):
        analyze(tmp_path / "missing.pcap", **{option: tmp_path / "missing"})

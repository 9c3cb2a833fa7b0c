import subprocess
import sys

import phonenumbers
import pytest
from phonenumbers import geocoder

from analyzer.regions import region_name
from analyzer.reports.phone import describe_number

REGIONS = sorted(phonenumbers.SUPPORTED_REGIONS)


@pytest.mark.parametrize(("code", "name"), [("GB", "United Kingdom"), ("AX", "Åland Islands"), ("001", ""), ("x", "")])
def test_regions_have_english_names(code, name):
    assert region_name(code) == name


def test_countries_of_numbers_are_those_of_the_geocoder():
    for kind in phonenumbers.PhoneNumberType.values():
        for region in REGIONS:
            number = phonenumbers.example_number_for_type(region, kind)
            if number is not None and phonenumbers.is_valid_number(number):
                digits = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
                expected = geocoder.country_name_for_number(number, "en")
                assert describe_number(digits).country == expected or not 8 <= len(digits) <= 16, digits


def test_the_places_of_numbers_are_not_read():
    code = (
        "import sys; from analyzer.reports.phone import describe_number; assert 'phonenumbers' not in sys.modules\n"
        "assert describe_number('442037690880').country == 'United Kingdom'\n"
        "assert not [name for name in sys.modules if 'geodata' in name]"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

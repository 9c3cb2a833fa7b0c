"""Telephone numbers as people write them, with their country."""

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

from analyzer.exports.escape import escape
from analyzer.regions import region_name

if TYPE_CHECKING:
    from phonenumbers import PhoneNumber

DIGITS = range(7, 16)
"""How many digits an international number may have (ITU-T E.164)."""
SHOWN = 60
"""Characters of a number, as it was on the wire, that are shown at most."""
INTERNATIONAL = "001"
"""The region that stands for satellite and other networks without a country."""


class Number(NamedTuple):
    """A number as people write it, and the country that it leads to ("" where it leads nowhere known)."""

    text: str
    country: str

    def __str__(self) -> str:
        """Return the number with its country."""
        return f"{self.text} ({self.country})" if self.country else self.text


@lru_cache(maxsize=4096)
def describe_number(wanted: str) -> Number:
    """Return an international number, digits with or without `+`, as people write it; others as they are."""
    import phonenumbers

    digits = wanted.removeprefix("+")
    if digits.isascii() and digits.isdigit() and len(digits) in DIGITS:
        try:
            number = phonenumbers.parse(f"+{digits}")
        except phonenumbers.NumberParseException:
            return Number(escape(wanted, limit=SHOWN), "")
        if phonenumbers.is_valid_number(number):
            return Number(_international(number), _country(number))
    return Number(escape(wanted, limit=SHOWN), "")


def _international(number: "PhoneNumber") -> str:
    from phonenumbers import PhoneNumberFormat, format_number

    return str(format_number(number, PhoneNumberFormat.INTERNATIONAL))


def _country(number: "PhoneNumber") -> str:
    """Return the country of a number; of one that is valid in several, as those of +1 are, no name."""
    from phonenumbers import is_valid_number_for_region, region_code_for_number, region_codes_for_country_code

    every = region_codes_for_country_code(number.country_code or 0)
    regions = [region for region in every if len(every) == 1 or is_valid_number_for_region(number, region)]
    name = region_name(regions[0]) if len(regions) == 1 else ""
    region = region_code_for_number(number)
    return name or ("satellite or international network" if region == INTERNATIONAL else "")


def wanted_number(dialled: str, wanted: list[str]) -> str | None:
    """Return which of the numbers wanted was dialled, prefixes and all; None if it is none of them."""
    digits = _digits(dialled)
    fitting = [number for number in wanted if _digits(number) and digits.endswith(_digits(number))]
    return max(fitting, key=len, default=None)


def _digits(number: str) -> str:
    return "".join(character for character in number if character in "0123456789")

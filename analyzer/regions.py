"""The names of countries, from the data of phonenumbers, without its tables of places, which take half a second."""

from functools import cache
from importlib.machinery import PathFinder
from importlib.util import module_from_spec

PACKAGE = "phonenumbers.geodata"


def region_name(region: str) -> str:
    """Return the English name of the region with this ISO 3166-1 code; "" if it has none."""
    names = _names().get(region, {})
    name = names.get("en", "")
    return str(names.get(name[1:], "") if name.startswith("*") else name)


@cache
def _names() -> dict[str, dict[str, str]]:
    """Return the names of each region by language; a name that starts with `*` is that of another language."""
    import phonenumbers

    # Importing the package would read the places of all telephone numbers; the file of names needs none of them.
    folders = [f"{folder}/geodata" for folder in phonenumbers.__path__]
    spec = PathFinder.find_spec(f"{PACKAGE}.locale", folders)
    if spec is None or spec.loader is None:
        from phonenumbers.geodata.locale import LOCALE_DATA

        return LOCALE_DATA
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    names: dict[str, dict[str, str]] = module.LOCALE_DATA
    return names

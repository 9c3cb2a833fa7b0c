"""Names to implementations, imported on first use."""

from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Generic, TypeVar, cast

from analyzer.errors import SettingsError, UnavailableError

T = TypeVar("T")


class Registry(Mapping[str, T], Generic[T]):
    """A mapping of names to objects, or to "module:attribute" addresses of objects."""

    def __init__(self, kind: str, entries: Mapping[str, T | str]) -> None:
        """Register entries; kind is the word that errors use for one of them."""
        self.kind = kind
        self._entries: dict[str, T | str] = dict(entries)

    def __getitem__(self, name: str) -> T:
        """Return what is registered under name, importing it if need be.

        Raises SettingsError if the name is unknown, UnavailableError if a package that it needs is missing.
        """
        if name not in self._entries:
            raise SettingsError(f"there is no {self.kind} '{name}'; choose from {', '.join(sorted(self._entries))}")
        entry = self._entries[name]
        if isinstance(entry, str):
            entry = self._entries[name] = self._import(name, entry)
        return entry

    def __iter__(self) -> Iterator[str]:
        """Iterate over the names in the order of registration."""
        return iter(self._entries)

    def __len__(self) -> int:
        """Return how many names are registered."""
        return len(self._entries)

    def __contains__(self, name: object) -> bool:
        """Say whether name is registered, without importing anything."""
        return name in self._entries

    def register(self, name: str, entry: T | str) -> None:
        """Add an entry, or replace the one of that name."""
        self._entries[name] = entry

    def _import(self, name: str, address: str) -> T:
        module, _, attribute = address.partition(":")
        try:
            return cast("T", getattr(import_module(module), attribute))
        except ModuleNotFoundError as error:
            if error.name and error.name.startswith("analyzer"):
                raise
            raise UnavailableError(
                f"the {self.kind} '{name}' needs the Python package '{error.name}'; install it with pip"
            ) from error

"""The signatures of tools: read from TOML, checked, frozen.

The format is described at the top of signatures.toml, beside this file.
"""

import re
import tomllib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

from analyzer.errors import SettingsError
from analyzer.tables import COLUMNS, COUNT, MESSAGES, NUMBER, TEXT, WORD

BUILT_IN = Path(__file__).with_name("signatures.toml")
TOOLS = ("scanner", "dialler", "load-test", "admin")
"""The kinds of programs that are named as the tool of a message."""
WRITERS = ("phone", "pbx", "stack")
"""The kinds of programs that people telephone with: known by their handwriting, and never named as tools."""
KINDS = TOOLS + WRITERS
TIERS: Mapping[str, float | None] = MappingProxyType({"high": 0.9, "medium": 0.4, "low": None})
"""What a User-Agent alone proves, by tier; None: nothing."""
VERSION = r"(?:[/ ]v?[0-9][0-9A-Za-z._~+-]*(?: \(.*\))?)?"
FEW = 100
"""The names that surely fit into one expression."""
TEXTS = tuple(name for name in MESSAGES.columns if COLUMNS[name].dtype in {TEXT, WORD})
TESTS = ("pattern", "headers", "equals", "missing", "same_as", "decodes")


@dataclass(frozen=True)
class Mark:
    """A test of one column of the messages table."""

    column: str
    pattern: str | None = None
    """RE2 expression that the whole value matches."""
    equals: str | int | None = None
    missing: bool = False
    same_as: str | None = None
    """Another column, whose value follows `after`."""
    after: str = ""
    decodes: str | None = None


@dataclass(frozen=True)
class Rule:
    """Marks that together name a tool."""

    tool: str
    marks: tuple[Mark, ...]
    confidence: float
    """Probability that the tool wrote a message that bears all the marks."""
    reason: str
    """The columns that gave it away, as words: 'layout, branch'."""


@dataclass(frozen=True)
class Name:
    """User-Agents that are listed together."""

    names: tuple[str, ...]
    tier: str
    seen: str
    """Who lists them, in the letters of signatures.toml."""
    exact: bool = False
    patterns: tuple[str, ...] = ()

    @property
    def expression(self) -> str:
        """Return the RE2 expression for what these names match, as tokens."""
        flag, version = ("", "") if self.exact else ("(?i)", VERSION)
        listed = [f"(?:{flag}{re.escape(name)}{version})" for name in self.names]
        return "|".join([*listed, *(f"(?:{pattern})" for pattern in self.patterns)])


@dataclass(frozen=True)
class Tool:
    """A program that writes SIP."""

    name: str
    kind: str
    """scanner, dialler, load-test, admin, phone, pbx or stack."""
    hostile: bool
    """Whether nobody points it at a stranger's system for an honest reason."""
    summary: str
    source: str
    user_agents: tuple[Name, ...] = ()
    """Of a phone, a PBX or a stack: what its messages call themselves."""
    relays: bool = False
    """Whether it hands on the User-Agents of others, so that its handwriting contradicts none."""


@dataclass(frozen=True)
class Signatures:
    """Tools, the rules that name them, and User-Agents that prove nothing."""

    tools: Mapping[str, Tool]
    rules: tuple[Rule, ...]
    """What names a tool, the surest first."""
    hands: tuple[Rule, ...] = ()
    """The handwriting of phones, PBXs and stacks, which accuses nobody, the surest first."""
    forged: tuple[Name, ...] = field(default=())
    """Low tier: legitimate names that are often forged."""


def load_signatures(*files: str | Path) -> Signatures:
    """Return the built-in signatures with those of files added; a later file adds to a tool or changes it.

    Raises SettingsError, with file and key, for a file that cannot be read, an unknown key, or a value
    that is not allowed.
    """
    return _merge(map(str, files)) if files else _built_in()


@cache
def _built_in() -> Signatures:
    return _merge(())


def _merge(files: Iterable[str]) -> Signatures:
    draft = _Draft()
    for file in (str(BUILT_IN), *files):
        _Reader(file).read_into(draft)
    rules = sorted(draft.rules, key=lambda rule: -rule.confidence)
    hands = tuple(rule for rule in rules if draft.tools[rule.tool].kind in WRITERS)
    naming = tuple(rule for rule in rules if draft.tools[rule.tool].kind in TOOLS)
    return Signatures(MappingProxyType(draft.tools), naming, hands, tuple(draft.forged))


@dataclass
class _Draft:
    """Signatures in the making."""

    tools: dict[str, Tool] = field(default_factory=dict)
    marks: dict[str, dict[str, Mark]] = field(default_factory=dict)
    rules: list[Rule] = field(default_factory=list)
    forged: list[Name] = field(default_factory=list)


@dataclass(frozen=True)
class _Reader:
    """Reads one file, and says where it is wrong."""

    file: str

    def read_into(self, draft: _Draft) -> None:
        """Add what the file says to draft."""
        try:
            document = tomllib.loads(Path(self.file).read_text(encoding="utf-8"))
        except OSError as error:
            raise SettingsError(f"cannot be read: {error.strerror}", file=self.file) from error
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise SettingsError(f"is no TOML: {error}", file=self.file) from error
        self._known(document, ("tools", "names"), "")
        for name, table in self._get(document, "tools", dict, "", {}).items():
            self._tool(draft, name, table)
        for number, table in enumerate(self._get(document, "names", list, "", [])):
            self._names(draft, table, f"names[{number}]")

    def _tool(self, draft: _Draft, name: str, table: object) -> None:
        key = f"tools.{name}"
        table = self._table(table, key)
        self._known(table, ("kind", "hostile", "summary", "source", "user_agents", "relays", "marks", "rules"), key)
        old = draft.tools.get(name, Tool(name, "scanner", hostile=False, summary="", source=""))
        agents = tuple(self._agents(self._get(table, "user_agents", list, key, []), f"{key}.user_agents"))
        draft.tools[name] = Tool(
            name,
            self._choice(self._get(table, "kind", str, key, old.kind), KINDS, f"{key}.kind"),
            self._get(table, "hostile", bool, key, old.hostile),
            self._get(table, "summary", str, key, old.summary),
            self._get(table, "source", str, key, old.source),
            (*old.user_agents, *agents),
            self._get(table, "relays", bool, key, old.relays),
        )
        if draft.tools[name].hostile and draft.tools[name].kind in WRITERS:
            raise self._wrong(f"a {draft.tools[name].kind} is never hostile", f"{key}.hostile")
        if draft.tools[name].kind in TOOLS:
            draft.rules += self._by_name(name, agents)
        marks = draft.marks.setdefault(name, {})
        for label, mark in self._get(table, "marks", dict, key, {}).items():
            marks[label] = self._mark(mark, f"{key}.marks.{label}")
        for number, rule in enumerate(self._get(table, "rules", list, key, [])):
            draft.rules.append(self._rule(name, rule, marks, f"{key}.rules[{number}]"))

    def _names(self, draft: _Draft, table: object, key: str) -> None:
        """Read a [[names]] table: each name of a high or medium tier becomes a tool called after itself."""
        table = dict(self._table(table, key))
        label = self._get(table, "label", str, key, None)
        kind = self._choice(self._get(table, "kind", str, key, "scanner"), KINDS, f"{key}.kind")
        hostile = self._get(table, "hostile", bool, key, default=False)
        for extra in ("label", "kind", "hostile"):
            table.pop(extra, None)
        listed = self._agent(table, key)
        if TIERS[listed.tier] is None:
            draft.forged.append(listed)
            return
        if listed.patterns and not label:
            raise self._wrong("is needed, to name what the patterns match", f"{key}.label")
        alone = [(label, listed)] if label else [
            (name, Name((name,), listed.tier, listed.seen, listed.exact)) for name in listed.names
        ]  # fmt: skip
        for name, agent in alone:
            draft.tools.setdefault(
                name, Tool(name, kind, hostile, "known by its User-Agent only", agent.seen, (agent,))
            )
            if kind in TOOLS:
                draft.rules += self._by_name(name, (agent,))

    def _by_name(self, tool: str, agents: Iterable[Name]) -> Iterator[Rule]:
        for agent in agents:
            confidence = TIERS[agent.tier]
            if confidence is not None:
                yield Rule(tool, (Mark("user_agent", agent.expression),), confidence, "user-agent")

    def _agents(self, tables: list[object], key: str) -> Iterator[Name]:
        for number, table in enumerate(tables):
            yield self._agent(table, f"{key}[{number}]")

    def _agent(self, table: object, key: str) -> Name:
        table = self._table(table, key)
        self._known(table, ("names", "patterns", "exact", "tier", "seen"), key)
        name = Name(
            tuple(self._texts(table, "names", key)),
            self._choice(self._get(table, "tier", str, key), tuple(TIERS), f"{key}.tier"),
            self._get(table, "seen", str, key, ""),
            self._get(table, "exact", bool, key, default=False),
            tuple(self._expression(text, f"{key}.patterns") for text in self._texts(table, "patterns", key)),
        )
        if not name.names and not name.patterns:
            raise self._wrong("needs names or patterns", key)
        if len(name.names) > FEW and _problem(name.expression):
            raise self._wrong("holds too much for one expression; split it", key)
        return name

    def _mark(self, table: object, key: str) -> Mark:
        table = self._table(table, key)
        self._known(table, ("column", "after", *TESTS), key)
        column = self._choice(self._get(table, "column", str, key), MESSAGES.columns, f"{key}.column")
        tests = [test for test in TESTS if test in table]
        if len(tests) != 1:
            raise self._wrong(f"needs exactly one of {', '.join(TESTS)}", key)
        where = f"{key}.{tests[0]}"
        if tests[0] in {"pattern", "headers", "same_as", "decodes"} and column not in TEXTS:
            raise self._wrong(f"the column '{column}' is no text", where)
        match tests[0]:
            case "pattern":
                return Mark(column, pattern=self._expression(self._get(table, "pattern", str, key), where))
            case "headers":
                return Mark(column, pattern=self._layout(self._texts(table, "headers", key), where))
            case "equals":
                return Mark(column, equals=self._value(column, table["equals"], where))
            case "same_as":
                other = self._choice(table["same_as"], TEXTS, where)
                return Mark(column, same_as=other, after=self._get(table, "after", str, key, ""))
            case "decodes":
                self._choice(column, ("from_tag",), where)
                return Mark(column, decodes=self._choice(table["decodes"], ("sipvicious",), where))
            case _:
                if table["missing"] is not True:
                    raise self._wrong("can only be true", where)
                return Mark(column, missing=True)

    def _rule(self, tool: str, table: object, marks: Mapping[str, Mark], key: str) -> Rule:
        table = self._table(table, key)
        self._known(table, ("marks", "confidence"), key)
        labels = self._texts(table, "marks", key)
        for label in labels:
            self._choice(label, tuple(marks), f"{key}.marks")
        confidence = table.get("confidence")
        if isinstance(confidence, bool) or not isinstance(confidence, int | float) or not 0 < confidence <= 1:
            raise self._wrong("must be a number above 0 and up to 1", f"{key}.confidence")
        if not labels:
            raise self._wrong("needs marks", key)
        chosen = [marks[label] for label in labels]
        words = dict.fromkeys("tag" if mark.decodes else mark.column.replace("_", "-") for mark in chosen)
        return Rule(tool, tuple(chosen), float(confidence), ", ".join(words))

    def _layout(self, headers: list[str], key: str) -> str:
        """Return the expression for a list of header names (RFC 3261 section 7.3.1 leaves their order free)."""
        start = {"LF": "LF ", "LF?": "(?:LF )?"}.get(headers[0] if headers else "", "")
        names = headers[1:] if start else headers
        if not names or names[0].endswith("?"):
            raise self._wrong("the first header must be there", key)
        expression = start
        for number, header in enumerate(names):
            name, optional = (header[:-1], True) if header.endswith("?") else (header, False)
            name, spaced = (name[:-1], "(?::[_~]*)?") if name.endswith("*") else (name, "")
            token = f"{',' if number else ''}{re.escape(name)}{spaced}"
            expression += f"(?:{token})?" if optional else token
        return self._expression(expression, key)

    def _expression(self, text: str, key: str) -> str:
        """Return text, which must be a regular expression of RE2."""
        if not (problem := _problem(text)):
            return text
        raise self._wrong(f"is no regular expression: {problem}", key)

    def _value(self, column: str, value: object, key: str) -> str | int:
        if isinstance(value, str) and column in TEXTS:
            return value
        if isinstance(value, int) and not isinstance(value, bool) and COLUMNS[column].dtype in {NUMBER, COUNT}:
            return value
        raise self._wrong(f"is not what the column '{column}' holds", key)

    def _texts(self, table: Mapping[str, Any], name: str, key: str) -> list[str]:
        texts = self._get(table, name, list, key, [])
        if not all(isinstance(text, str) and text for text in texts):
            raise self._wrong("must be a list of texts", f"{key}.{name}")
        return list(texts)

    def _table(self, table: object, key: str) -> Mapping[str, Any]:
        if not isinstance(table, dict):
            raise self._wrong("must be a table", key)
        return table

    def _get(self, table: Mapping[str, Any], name: str, kind: type, key: str, default: Any = ...) -> Any:  # noqa: ANN401
        where = f"{key}.{name}" if key else name
        if name not in table:
            if default is ...:
                raise self._wrong("is needed", where)
            return default
        if not isinstance(table[name], kind):
            raise self._wrong(f"must be {'a table' if kind is dict else 'a ' + kind.__name__}", where)
        return table[name]

    def _known(self, table: Mapping[str, Any], allowed: tuple[str, ...], key: str) -> None:
        for name in table:
            if name not in allowed:
                raise self._wrong(f"is not known; choose from {', '.join(allowed)}", f"{key}.{name}" if key else name)

    def _choice(self, value: object, allowed: tuple[str, ...], key: str) -> str:
        if not isinstance(value, str) or value not in allowed:
            choices = f"choose from {', '.join(allowed)}" if allowed else "there is nothing to choose from"
            raise self._wrong(f"'{value}' is not known; {choices}", key)
        return value

    def _wrong(self, problem: str, key: str) -> SettingsError:
        return SettingsError(problem, file=self.file, key=key)


def _problem(expression: str) -> str:
    """Say what RE2 finds wrong with an expression; nothing if it takes it."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        pc.match_substring_regex(pa.array([""]), expression)
    except pa.ArrowInvalid as error:
        return str(error).removeprefix("Invalid regular expression: ")
    return ""

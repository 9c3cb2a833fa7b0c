"""Lists: an address on each line, and the whole table as CSV or JSON."""

from io import BytesIO
from typing import TYPE_CHECKING, Any

from analyzer.blocklists import BLOCK, Rule, Rules, as_json
from analyzer.blocklists.comments import comment, iso, lines
from analyzer.exports.csv import write_csv as write_table

if TYPE_CHECKING:
    import pandas as pd


def named(rule: Rule) -> str:
    """Return the network of a rule; of one address, that."""
    network = rule.network
    return str(network.network_address) if network.num_addresses == 1 else str(network)


def write_plain(rules: Rules) -> str:
    """Write an address or network on each line; after `#` when it was last seen, until when it is meant, and why."""
    return lines(f"# {rules.title}", *(f"{named(rule)}  # {_about(rule)}" for rule in rules.rules))


def _about(rule: Rule) -> str:
    times = [f"{word} {iso(time)}" for word, time in (("last", rule.last), ("until", rule.until)) if time]
    return " ".join([*times, comment(rule.why)])


def write_csv(rules: Rules) -> str:
    """Write the table of entries as CSV (analyzer.exports.csv)."""
    file = BytesIO()
    write_table(_table(rules), file)
    return file.getvalue().decode()


def _table(rules: Rules) -> "pd.DataFrame":
    if rules.table is not None:
        return rules.table
    import pandas as pd

    rows = [{"entry": named(rule), "why": rule.why} for rule in rules.rules]
    return pd.DataFrame(rows, columns=["entry", "why"], dtype="str")


def write_json(rules: Rules) -> str:
    """Write entries, who was held back, and when that was decided, as one JSON object."""
    told: dict[str, Any] = {"mode": rules.mode, "made": iso(rules.now), "entries": _records(_table(rules))}
    if rules.mode == BLOCK:
        told["held"] = [] if rules.held is None else _records(rules.held)
    else:
        told["ports"] = list(rules.ports)
    return as_json(told)


def _records(frame: "pd.DataFrame") -> list[dict[str, Any]]:
    return [{str(name): _plain(value) for name, value in row.items()} for row in frame.to_dict("records")]


def _plain(value: Any) -> Any:  # noqa: ANN401
    if isinstance(value, list | str):
        return value
    if value is None or value != value:  # noqa: PLR0124
        return None
    return iso(value.to_pydatetime(warn=False)) if hasattr(value, "to_pydatetime") else value

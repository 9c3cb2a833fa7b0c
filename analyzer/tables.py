"""Every column of every table: its name, its dtype and its meaning, declared once.

A column has one name, one dtype and one meaning in all tables. Each step of the pipeline
ends in `TABLE.conform(frame)`, so that what comes next can rely on it. Missing is missing
(NaN, NaT, <NA>), never 0 or "".

dtypes
    TIME     datetime64[ns, UTC]
    WORD     category of str: text that repeats
    TEXT     str: text that seldom repeats
    COUNT    int64, never missing
    NUMBER   Int64, may be missing
    SHARE    float64 from 0 to 1, may be missing
    SECONDS  float64, may be missing
    FLAG     bool
    LIST     object: a sorted list of Python str or int; `;`-joined in CSV
"""

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from analyzer.errors import TableError

if TYPE_CHECKING:
    import pandas as pd

TIME = "datetime64[ns, UTC]"
WORD = "category"
TEXT = "str"
COUNT = "int64"
NUMBER = "Int64"
SHARE = "float64"
SECONDS = "float64"
FLAG = "bool"
LIST = "list"


@dataclass(frozen=True)
class Column:
    """One column: what it is called, how it is stored, and what it means."""

    name: str
    dtype: str
    meaning: str


COLUMNS = {
    column.name: column
    for column in [
        # --- where a message was seen
        Column("time", TIME, "when the packet that completed it was captured"),
        Column("capture", WORD, "the capture that it was read from"),
        Column("packet", COUNT, "1-based number of the packet that completed it, in its capture"),
        Column("transport", WORD, "udp, tcp or ws"),
        Column("source", WORD, "the address that sent it, as canonical text"),
        Column("source_port", COUNT, "the port that it was sent from"),
        Column("destination", WORD, "the address that it was sent to, as canonical text"),
        Column("destination_port", COUNT, "the port that it was sent to"),
        Column("ttl", NUMBER, "time to live (IPv4) or hop limit (IPv6) of its packet"),
        # --- what it says (RFC 3261)
        Column("method", WORD, "the method of a request, or of a response's CSeq"),
        Column("status", NUMBER, "status code of a response; missing for a request"),
        Column("uri", TEXT, "request-URI as sent"),
        Column("uri_user", WORD, "user part of the request-URI"),
        Column("from_name", WORD, "display name of From, without its quotes"),
        Column("from_user", WORD, "user part of From"),
        Column("from_host", WORD, "host (and port, if any) of From"),
        Column("from_tag", TEXT, "tag of From"),
        Column("to_user", WORD, "user part of To"),
        Column("to_host", WORD, "host (and port, if any) of To"),
        Column("to_tag", TEXT, "tag of To"),
        Column("call_id", TEXT, "Call-ID"),
        Column("cseq", NUMBER, "number of CSeq"),
        Column("via_host", WORD, "sent-by (host, and port if any) of the topmost Via"),
        Column("branch", TEXT, "branch of the topmost Via"),
        Column("contact", TEXT, "first Contact, as sent"),
        Column("expires", NUMBER, "seconds asked for or granted: Contact's expires, else Expires"),
        Column("user_agent", WORD, "User-Agent"),
        Column("server", WORD, "Server"),
        Column("subject", WORD, "Subject"),
        Column("authorized", FLAG, "carries credentials: Authorization or Proxy-Authorization"),
        Column("auth_user", WORD, "username of those credentials"),
        Column("nonce", TEXT, "nonce of credentials (request) or of a challenge (response)"),
        Column("layout", WORD, "the names of its headers in order, as written: the tool's handwriting"),
        Column("sdp_origin", WORD, "user name and address of the SDP o= line, as 'user address'"),
        Column("sdp_session", WORD, "session name of the SDP s= line"),
        Column("media", WORD, "address:port that the SDP asks media to be sent to"),
        Column("body_bytes", COUNT, "bytes after the blank line"),
        Column("message_bytes", COUNT, "bytes of the whole message"),
        # --- what its writer gives away (analyzer.tools)
        Column("tool", WORD, "the program that its handwriting, tokens or User-Agent give away"),
        Column("tool_confidence", SHARE, "how sure that is"),
        Column("tool_reason", WORD, "what gave it away: tag, layout, token, user-agent …"),
        Column("tag_target", WORD, "target address:port decoded from a SIPVicious From tag"),
        Column("tag_account", WORD, "account decoded from a SIPVicious From tag"),
        Column("tag_password", TEXT, "password guess decoded from a SIPVicious From tag"),
        # --- what became of a request (analyzer.sip.transactions)
        Column("answer", NUMBER, "status of the final response to this request; missing where there is none"),
        Column("answer_packet", NUMBER, "packet that completed that final response"),
        Column("rang", FLAG, "a 180, 181, 182 or 183 came back for this request"),
        Column("repeated", FLAG, "a retransmission: an earlier request of the same transaction was seen"),
        Column("pursued", FLAG, "it was challenged (401, 407) and its sender followed with credentials"),
        Column("in_dialog", FLAG, "a request with a To tag: part of a dialog (RFC 3261 12.2)"),
        Column("from_server", FLAG, "a request whose sender is a server itself: it challenges or registers others"),
        Column("proof", WORD, "the reply-dependent step that this request is, so that its source cannot be forged"),
        # --- anomalies and fates
        Column("reason", WORD, "why, from a closed list"),
        Column("detail", TEXT, "the particulars, for people"),
        Column("fate", WORD, "message, set-aside or unreadable"),
        # --- attacks
        Column("attack", WORD, "id of the attack"),
        Column(
            "kind",
            WORD,
            "tool, sweep, enumeration, password-guessing, toll-fraud, ghost-call, flood, exploit or probe; "
            "of strays: syn, empty, garbage, keep-alive or h323",
        ),
        Column("campaign", WORD, "id of the campaign that it belongs to"),
        Column("start", TIME, "when the first of its messages, or packets, was sent"),
        Column("end", TIME, "when the last of its messages, or packets, was sent"),
        Column("messages", COUNT, "how many messages (of attacks and campaigns: requests) it is made of"),
        Column("targets", LIST, "the addresses that were sent to"),
        Column("accounts", LIST, "the accounts that were tried"),
        Column("numbers", LIST, "the numbers really wanted: as dialled, without prefixes"),
        Column("prefixes", LIST, "the dial prefixes that were tried before the numbers"),
        Column("passwords", LIST, "'account:password' pairs that were guessed, where a tool gives them away"),
        Column(
            "outcome",
            WORD,
            "the worst reached: no-reply, rejected, replied, challenged, accounts-found, rang, answered or breached",
        ),
        Column("found", LIST, "accounts that the answers gave away as existing"),
        Column("breached", LIST, "accounts whose credentials were accepted"),
        Column("answered", LIST, "numbers, as dialled, of calls that were answered"),
        Column("confidence", SHARE, "how sure the finding is"),
        Column("technique", WORD, "MITRE ATT&CK id"),
        Column("evidence", LIST, "packet numbers of messages that prove it, all of the capture that the row names"),
        Column("decisive", NUMBER, "packet number of the message that reached the outcome, in that capture"),
        Column("keys", LIST, "what ties it to other attacks, as 'kind:value'"),
        # --- sources
        Column("verdict", WORD, "attacking, suspicious or innocent"),
        Column("why", TEXT, "the reasons of the verdict, in words"),
        Column("proven", TEXT, "the reply-dependent step that proves its address; missing if it may be forged"),
        Column("first", TIME, "when its first message was captured"),
        Column("last", TIME, "when its last message was captured"),
        Column("requests", COUNT, "how many requests it sent"),
        Column("methods", LIST, "its requests by method, as 'METHOD count'"),
        Column("answers", LIST, "the final and provisional answers it got, as 'status count'"),
        Column("user_agents", LIST, "the User-Agents that it claimed"),
        Column("tools", LIST, "the tools that it was seen to use"),
        Column("allowed", TEXT, "the name by which the user's allow-list knows it; missing if it is not on it"),
        Column("country", WORD, "where its address is from by the user's database: ISO 3166 code"),
        Column("country_name", WORD, "that country's name in English"),
        Column("asn", NUMBER, "number of the autonomous system (the network) that its address belongs to"),
        Column("network", WORD, "organisation that runs that network"),
        Column("remarks", LIST, "what else it did that proves nothing, in words"),
        # --- campaigns
        Column("title", TEXT, "the campaign in a few words"),
        Column("kinds", LIST, "the kinds of its attacks, in the order in which they began"),
        Column("sources", LIST, "the addresses that took part"),
        Column("reasons", LIST, "why its attacks belong together, in words"),
        Column("state", WORD, "new, continuing or returned, of a period of a store; missing where no past is known"),
        Column("first_seen", TIME, "when it was first seen, in the period or before; missing where no past is known"),
        Column("silence", SECONDS, "seconds since it was last seen before the period; missing for a new one"),
        # --- captures
        Column("format", WORD, "pcap or pcapng, with byte order and resolution"),
        Column("bytes", NUMBER, "size of the capture as it lies on the disk; missing for a pipe"),
        Column("packets", COUNT, "packets captured"),
        Column("dropped", NUMBER, "packets that the recorder lost; missing where the capture does not say"),
        # --- strays
        Column("opened", FLAG, "the target answered the SYN: the port is open"),
        # --- answered calls
        Column("dialled", WORD, "user part of the request-URI of the INVITE"),
        Column("answered_at", TIME, "when the 2xx to the INVITE was captured"),
        Column("ended_at", TIME, "when the first BYE was captured; missing if none was"),
        Column("ended_by", WORD, "who sent that BYE: caller or callee; missing if neither did"),
        Column("talked", SECONDS, "seconds from the answer to the BYE"),
        Column("audio", WORD, "RTP seen between its sides: two-way, one-way or none; missing if no RTP was recorded"),
        # --- block-lists
        Column("entry", TEXT, "the address or network to block, or that was held back"),
        Column("campaigns", LIST, "ids of the campaigns that it took part in"),
        Column("until", TIME, "when the block ends"),
    ]
}


@dataclass(frozen=True)
class Table:
    """A named list of columns, and the way to make any frame keep to it."""

    name: str
    columns: tuple[str, ...]

    @cached_property
    def contract(self) -> dict[str, Column]:
        """The declaration of each column, by name."""
        return {name: COLUMNS[name] for name in self.columns}

    def empty(self) -> "pd.DataFrame":
        """Return the table without rows."""
        return self._without_rows.copy()

    @cached_property
    def _without_rows(self) -> "pd.DataFrame":
        """The table without rows, of which others are copies: to convert each column takes twenty times as long."""
        import pandas as pd

        return self.conform(pd.DataFrame({name: [] for name in self.columns}))

    def conform(self, frame: "pd.DataFrame", *, missing: bool = False) -> "pd.DataFrame":
        """Return frame with this table's columns, in order and in their dtypes, renumbered from 0.

        With missing=True, columns that frame lacks are added, empty.
        Raises TableError for a column that is lacking, or that cannot be converted.
        """
        import pandas as pd

        lacking = [name for name in self.columns if name not in frame.columns]
        if lacking and not missing:
            raise TableError(f"the {self.name} table lacks the column(s) {', '.join(lacking)}")
        columns = {}
        for name, column in self.contract.items():
            values = frame[name] if name in frame.columns else pd.Series([None] * len(frame), index=frame.index)
            try:
                columns[name] = _cast(values, column.dtype)
            except (TypeError, ValueError) as error:
                raise TableError(f"the {self.name} table's column '{name}' is no {column.dtype}: {error}") from error
        return pd.DataFrame(columns, copy=False).reset_index(drop=True)


def _cast(values: "pd.Series[Any]", dtype: Any) -> "pd.Series[Any]":  # noqa: ANN401
    import pandas as pd

    if str(values.dtype) == dtype:
        return values
    match dtype:
        case "list":
            values = _lists(values)
        case "category":
            values = values.astype("str").astype("category")
        case "datetime64[ns, UTC]":
            values = pd.to_datetime(values, utc=True).astype(dtype)
        case "bool":
            values = values.astype("boolean").fillna(value=False).astype("bool")
        case "int64":
            values = values.astype("Int64").fillna(0).astype("int64")
        case _:
            values = values.astype(dtype)
    return values


def _lists(values: "pd.Series[Any]") -> "pd.Series[Any]":
    """Return a column of lists: those that it holds, others as lists, and an empty one for whatever else."""
    import pandas as pd

    cells = values.tolist() if values.dtype == object else [None] * len(values)
    if set(map(type, cells)) == {list}:
        return values
    lists = [
        cell if type(cell) is list else list(cell) if isinstance(cell, list | tuple | set) else [] for cell in cells
    ]
    return pd.Series(lists, index=values.index, dtype="object")


MESSAGES = Table(
    "messages",
    (
        "time", "capture", "packet", "transport", "source", "source_port", "destination", "destination_port", "ttl",
        "method", "status", "uri", "uri_user", "from_name", "from_user", "from_host", "from_tag", "to_user", "to_host",
        "to_tag", "call_id", "cseq", "via_host", "branch", "contact", "expires", "user_agent", "server", "subject",
        "authorized", "auth_user", "nonce", "layout", "sdp_origin", "sdp_session", "media", "body_bytes",
        "message_bytes",
        "tool", "tool_confidence", "tool_reason", "tag_target", "tag_account", "tag_password",
        "answer", "answer_packet", "rang", "repeated", "pursued", "in_dialog", "from_server", "proof",
    ),
)  # fmt: skip
ANOMALIES = Table("anomalies", ("time", "capture", "packet", "reason", "detail"))
FATES = Table("fates", ("capture", "fate", "reason", "packets"))
CAPTURES = Table("captures", ("capture", "format", "bytes", "packets", "messages", "dropped", "start", "end"))
ATTACKS = Table(
    "attacks",
    (
        "attack", "kind", "source", "campaign", "tool", "start", "end", "messages", "targets", "accounts", "numbers",
        "prefixes", "passwords", "outcome", "found", "breached", "answered", "confidence", "technique", "capture",
        "evidence", "decisive", "keys",
    ),
)  # fmt: skip
SOURCES = Table(
    "sources",
    (
        "source", "verdict", "why", "proven", "first", "last", "requests", "methods", "answers", "targets", "accounts",
        "user_agents", "tools", "campaign", "allowed", "country", "country_name", "asn", "network", "remarks",
    ),
)  # fmt: skip
CAMPAIGNS = Table(
    "campaigns",
    (
        "campaign", "title", "kinds", "tools", "sources", "targets", "numbers", "prefixes", "accounts", "passwords",
        "start", "end", "messages", "outcome", "found", "breached", "answered", "confidence", "reasons", "state",
        "first_seen", "silence",
    ),
)  # fmt: skip
STRAYS = Table(
    "strays",
    (
        "capture", "source", "destination", "destination_port", "transport", "kind", "packets", "start", "end",
        "packet", "opened",
    ),
)  # fmt: skip
CALLS = Table(
    "calls",
    (
        "capture", "call_id", "source", "destination", "dialled", "packet", "answer_packet", "answered_at", "ended_at",
        "ended_by", "talked", "audio", "proof",
    ),
)  # fmt: skip
FLOWS = Table("flows", ("capture", "source", "source_port", "destination", "destination_port", "start", "end"))
"""RTP streams, of which a sample was seen; for the calls table, and in no report."""
BLOCKS = Table(
    "blocks",
    (
        "entry", "sources", "why", "kinds", "tools", "campaigns", "outcome", "confidence", "proven", "user_agents",
        "capture", "evidence", "first", "last", "until",
    ),
)  # fmt: skip
"""Whom to block, why and until when (analyzer.blocking)."""
HELD = Table("held", ("entry", "reason", "detail", "why", "campaigns", "outcome", "first", "last"))
"""Who is accused and was not put on the block-list, and why not."""
TABLES = {
    table.name: table for table in (MESSAGES, ANOMALIES, FATES, CAPTURES, ATTACKS, SOURCES, CAMPAIGNS, STRAYS, CALLS)
}

OUTCOMES = ("no-reply", "rejected", "replied", "challenged", "accounts-found", "rang", "answered", "breached")
"""What an attack reached, from harmless to worst."""

"""A sip.log as Zeek writes it: a line for each request, with the final response to it.

What Zeek leaves out stays in: the tags. What the messages table does not hold (Date, Reply-To, the whole Via path,
Warning, Content-Type) is unset.
"""

import csv
import re
from typing import TYPE_CHECKING, Any, BinaryIO

import pandas as pd

from analyzer.responses import PHRASES
from analyzer.sharing.lines import chunks, party

if TYPE_CHECKING:
    from analyzer.sharing import Told

FIELDS = {
    "ts": "time", "uid": "string", "id.orig_h": "addr", "id.orig_p": "port", "id.resp_h": "addr", "id.resp_p": "port",
    "trans_depth": "count", "method": "string", "uri": "string", "date": "string", "request_from": "string",
    "request_to": "string", "response_from": "string", "response_to": "string", "reply_to": "string",
    "call_id": "string", "seq": "string", "subject": "string", "request_path": "vector[string]",
    "response_path": "vector[string]", "user_agent": "string", "status_code": "count", "status_msg": "string",
    "warning": "string", "request_body_len": "count", "response_body_len": "count", "content_type": "string",
}  # fmt: skip
"""The fields of Zeek's base/protocols/sip, with their types."""
TIME = "%Y-%m-%d-%H-%M-%S"
_BARE: Any = {"quoting": csv.QUOTE_NONE, "quotechar": None}
"""Nothing is quoted, and a quote is a character like others."""
_ANSWER = ["capture", "packet", "from_name", "from_user", "from_host", "from_tag", "to_user", "to_host", "to_tag",
           "body_bytes"]  # fmt: skip


def write_zeek(told: "Told", file: BinaryIO) -> None:
    """Write the log: tab-separated values below a header, in the order of time."""
    now = f"{told.blocks.now:{TIME}}"
    head = {
        "set_separator\t": ",", "empty_field\t": "(empty)", "unset_field\t": "-", "path\t": "sip", "open\t": now,
        "fields\t": "\t".join(FIELDS), "types\t": "\t".join(FIELDS.values()),
    }  # fmt: skip
    file.write(b"#separator \\x09\n" + "".join(f"#{name}{value}\n" for name, value in head.items()).encode())
    messages = told.analysis.messages
    replies = messages[messages["status"].notna()]
    for requests in chunks(messages[messages["status"].isna()]):
        lines = _lines(requests, replies)
        file.write(lines.to_csv(sep="\t", header=False, index=False, na_rep="-", **_BARE).encode())
    file.write(f"#close\t{now}\n".encode())


def _lines(requests: pd.DataFrame, replies: pd.DataFrame) -> pd.DataFrame:
    """Return the columns of the log for requests."""
    wanted = replies.loc[replies["packet"].isin(requests["answer_packet"].dropna()), _ANSWER]
    wanted = wanted.drop_duplicates(["capture", "packet"]).rename(columns={"packet": "answer_packet"})
    wanted["answer_packet"] = wanted["answer_packet"].astype("Int64")
    keys = requests[["capture", "answer_packet"]]
    answer = keys.merge(wanted, on=["capture", "answer_packet"], how="left", sort=False).set_axis(requests.index)
    time = requests["time"].astype("int64")
    columns: dict[str, object] = {
        "ts": (time // 10**9).astype("str") + "." + (time % 10**9 // 1000).astype("str").str.zfill(6),
        "uid": _uids(requests),
        "id.orig_h": requests["source"].astype("str"), "id.orig_p": requests["source_port"],
        "id.resp_h": requests["destination"].astype("str"), "id.resp_p": requests["destination_port"],
        "trans_depth": 0, "method": requests["method"].astype("str"), "uri": requests["uri"],
        "request_from": party(requests, "from"), "request_to": party(requests, "to"),
        "response_from": party(answer, "from"), "response_to": party(answer, "to"),
        "call_id": requests["call_id"],
        "seq": requests["cseq"].astype("str") + " " + requests["method"].astype("str"),
        "subject": requests["subject"].astype("str"), "user_agent": requests["user_agent"].astype("str"),
        "status_code": requests["answer"], "status_msg": requests["answer"].map(PHRASES),
        "request_body_len": requests["body_bytes"], "response_body_len": answer["body_bytes"].astype("Int64"),
    }  # fmt: skip
    table = pd.DataFrame(columns, index=requests.index).reindex(columns=list(FIELDS))
    return table.apply(_escaped)


def _uids(requests: pd.DataFrame) -> "pd.Series[str]":
    """Return an id for each request: the same for those of one Call-ID between the same two."""
    who = requests["source"].astype("str") + " " + requests["destination"].astype("str") + " "
    numbers = pd.util.hash_pandas_object(who + requests["call_id"].fillna(""), index=False)
    return "C" + numbers.map("{:016x}".format)


def _escaped(column: "pd.Series[str]") -> "pd.Series[str]":
    r"""Return text in which nothing ends a field or a line, as Zeek writes it: \x09 for a tab.

    A value that is itself "-" or "(empty)" would be taken for none.
    """
    if column.dtype != "str":
        return column
    text = column.str.replace("\\", "\\\\", regex=False)
    unseen = text.str.contains(r"[\x00-\x1f\x7f-\x9f]", regex=True).fillna(value=False)
    if unseen.any():
        shown = [
            re.sub(r"[\x00-\x1f\x7f-\x9f]", lambda found: f"\\x{ord(found[0]):02x}", cell) for cell in text[unseen]
        ]
        text = text.mask(unseen, pd.Series(shown, index=text.index[unseen], dtype="str"))
    return text.replace({"-": r"\x2d", "(empty)": r"\x28empty)", "": "(empty)"})

import re

import pandas as pd
import pytest
from factories import messages

URI = re.compile(r'(?:"?(?P<name>[^"<]*?)"?\s*)?<?(?P<scheme>sips?):(?:(?P<user>[^@<>;]*)@)?(?P<host>[^<>; ]*)')
LONG = {"v": "via", "f": "from", "t": "to", "i": "call-id", "m": "contact", "s": "subject", "l": "content-length"}


def _separator(line, name):
    """How the separator after a header's name is shown in the column layout."""
    after = re.match(r"\s*:\s*", line[len(name) :])[0]
    return "" if after == ": " else after.replace(" ", "_").replace("\t", "~")


def _headers(lines):
    """The first value of each header, by long name, and the layout."""
    values, layout = {}, []
    for line in lines:
        name = re.match(r"[^\s:]*", line)[0]
        values.setdefault(LONG.get(name.lower(), name.lower()), line.partition(":")[2].strip())
        if not layout or layout[-1] != name + _separator(line, name):
            layout.append(name + _separator(line, name))
    return values, ",".join(layout)


def read_request(raw):
    """Return the columns that signatures look at, of one well-formed request given as bytes."""
    text = raw.decode()
    bare = "\r\n" not in text
    head, _, body = text.replace("\r\n", "\n").partition("\n\n")
    start, *lines = head.split("\n")
    method, uri, _ = start.split(" ")
    values, layout = _headers(lines)
    sender, receiver = URI.search(values["from"]), URI.search(values["to"])
    sdp = dict(re.findall(r"(?m)^([so])=(.*)$", body))
    tag = re.search(r";\s*tag=([^;>\s]*)", values["from"])
    branch = re.search(r";branch=([^;]*)", values["via"])
    return {
        "method": method,
        "uri": uri,
        "uri_user": (found := URI.match(uri)) and found["user"],
        "from_name": sender["name"] or None,
        "from_user": sender["user"],
        "from_host": sender["host"],
        "from_tag": tag and tag[1],
        "to_user": receiver["user"],
        "to_host": receiver["host"],
        "call_id": values.get("call-id"),
        "cseq": int(values["cseq"].split()[0]),
        "via_host": values["via"].split()[1].split(";")[0],
        "branch": branch and branch[1],
        "contact": values.get("contact"),
        "user_agent": values.get("user-agent"),
        "subject": values.get("subject"),
        "authorized": "authorization" in values,
        "layout": f"LF {layout}" if bare else layout,
        "sdp_session": sdp.get("s"),
        "sdp_origin": sdp and f"{sdp['o'].split()[0]} {sdp['o'].split()[-1]}",
        "message_bytes": len(raw),
    }


@pytest.fixture
def written():
    """The messages table of requests given as bytes, one row each; columns by keyword replace what was read."""

    def table(*raw, **columns):
        rows = [messages(1, **{**read_request(each), "destination": "127.7.7.7", **columns}) for each in raw]
        return pd.concat(rows, ignore_index=True).pipe(lambda frame: messages(len(frame), **dict(frame.items())))

    return table

"""The bodies of messages with other names in them, of the same length; what is not understood is blotted out."""

import re
from collections import Counter
from collections.abc import Callable, Mapping

from analyzer.anonymizing.names import Names
from analyzer.anonymizing.sweep import Sweep

_LINE = re.compile(r"([A-Za-z])(=)([^\r\n]*)")
_BOUNDARY = re.compile(r'boundary\s*=\s*"?([^";,\s]+)', re.IGNORECASE)
_PART_HEADER = re.compile(r"^([^\s:]+)[ \t]*:[ \t]*([^\r\n]*)", re.MULTILINE)
_ORIGIN = re.compile(r"(\S+)(\s+\S+\s+\S+\s+IN\s+IP[46]\s+)(\S+)(.*)", re.IGNORECASE | re.DOTALL)
_CONNECTION = re.compile(r"(.*?\bIN\s+IP[46]\s+)([^\s/]+)(.*)", re.IGNORECASE | re.DOTALL)
_GENERIC_SESSIONS = frozenset(
    {"-", "", "call", "session", "talk", "conversation", "sip call", "sip media capabilities"}
)
PLAIN_ATTRIBUTES = frozenset({
    "rtpmap", "fmtp", "ptime", "maxptime", "sendrecv", "sendonly", "recvonly", "inactive", "rtcp", "rtcp-mux",
    "rtcp-fb",
    "mid", "group", "direction", "silencesupp", "candidate", "remote-candidates", "setup", "connection", "framerate",
    "framesize", "imageattr", "extmap", "ice-lite", "ice-options", "end-of-candidates", "msid-semantic", "charset",
    "type", "quality", "orient", "content", "curr", "des", "conf", "rtcp-rsize", "rtcp-xr", "bundle-only", "ecpt",
    "gpmd",
    "sqn", "cdsc", "cpar", "pmft", "nortpproxy", "x-nat", "alt", "rid", "simulcast", "sctp-port", "sctpmap",
    "max-message-size", "range", "control", "length", "tool", "lang", "sdplang", "encryption", "oldmediaip",
    "oldcip", "label", "t38faxversion", "t38maxbitrate", "t38faxratemanagement", "t38faxmaxbuffer",
    "t38faxfillbitremoval",
    "t38faxmaxdatagram", "t38faxudpec", "t38faxtranscodingmmr", "t38faxtranscodingjbig", "t38maxdatagram",
    "t38faxmaxifp", "t38faxudpecdepth", "t38faxudpfecmaxspan", "t38modemtype", "t38vendorinfo", "floorctrl",
    "accept-types",
    "crypto", "fingerprint",
})  # fmt: skip
"""The attributes of SDP that tell of the media: only what is known by name is replaced in them."""


class Bodies:
    """Rewrites bodies by their type."""

    def __init__(self, names: Names, sweep: Sweep, rewrite: Callable[[str], str]) -> None:
        """Take the names, what looks for them, and what rewrites a message."""
        self._names, self._sweep, self._rewrite = names, sweep, rewrite
        self.blotted: Counter[str] = Counter()
        """How many bodies were blotted out, by type."""

    def rewrite(self, body: str, headers: Mapping[str, str]) -> str:
        """Return a body; headers are those of its message, by their long names in lower case."""
        if not body.strip("\r\n \t\0"):
            return body
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if headers.get("content-encoding", "identity").lower() not in {"identity", "", "text/plain"}:
            return self._blot(body, "encoded")
        if kind == "application/sdp" or (not kind and body.startswith("v=")):
            return self._sdp(body)
        if kind in {"message/sipfrag", "message/sip", "message/sip-frag"}:
            return self._rewrite(body)
        boundary = _BOUNDARY.search(headers.get("content-type", ""))
        if kind.startswith("multipart/") and boundary:
            return self._parts(body, boundary[1])
        return self._blot(body, kind or "no type")

    def _blot(self, body: str, kind: str) -> str:
        """Return a body of which only the form is left."""
        self.blotted[kind if re.fullmatch(r"[\w.+-]{1,40}/[\w.+-]{1,60}|[a-z ]+", kind) else "odd type"] += 1
        return re.sub(
            r"[^\W\d_]|[\x80-\xff]", "x", re.sub(r"\d", "0", re.sub(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", "\0", body))
        )

    def _parts(self, body: str, boundary: str) -> str:
        """Return a multipart body (RFC 2046 5.1), part by part."""
        pieces = re.split(f"(--{re.escape(boundary)}(?:--)?[ \t]*\r?\n?)", body)
        named = []
        for piece in pieces:
            if piece.startswith("--" + boundary):
                named.append(self._sweep(piece))
                continue
            end = re.search(r"\r?\n\r?\n", piece)
            if not end:
                named.append(self._sweep(piece) if not piece.strip() else self._blot(piece, "preamble"))
                continue
            headers = {found[1].lower(): found[2].strip() for found in _PART_HEADER.finditer(piece[: end.start()])}
            named.append(self._sweep(piece[: end.end()]) + self.rewrite(piece[end.end() :], headers))
        return "".join(named)

    # --- SDP (RFC 8866)

    def _sdp(self, body: str) -> str:
        pieces, at = [], 0
        for found in re.finditer(r"[^\r\n]+", body):
            pieces.append(body[at : found.start()])
            line = _LINE.fullmatch(found[0])
            pieces.append(
                line[1] + line[2] + self._sdp_line(line[1], line[3]) if line else self._blot(found[0], "odd sdp")
            )
            at = found.end()
        return "".join(pieces) + body[at:]

    def _sdp_line(self, letter: str, value: str) -> str:  # noqa: PLR0911 (one for each kind of line)
        match letter:
            case "o" if found := _ORIGIN.fullmatch(value):
                user = found[1] if found[1] == "-" else self._origin(found[1])
                return user + found[2] + self._names.host(found[3]) + self._sweep(found[4])
            case "c" if found := _CONNECTION.fullmatch(value):
                return found[1] + self._names.host(found[2]) + self._sweep(found[3])
            case "s":
                if value.strip().lower() in _GENERIC_SESSIONS:
                    return value
                return self._sweep.phrase(value)
            case "a":
                return self._attribute(value)
            case "v" | "m" | "b" | "t" | "r" | "z":
                return self._sweep(value)
            case _:
                return self._names.secret(value)

    def _origin(self, user: str) -> str:
        """Return the user of o=; a tool's own (sipcli-Session, Z) stays."""
        return user if user in {"Z", "sipcli-Session", "user1", "user"} else self._names.user(user)

    def _attribute(self, value: str) -> str:
        name, colon, said = value.partition(":")
        plain = name.strip().lower()
        if plain == "crypto":
            return (
                name
                + colon
                + re.sub(r"(inline:)([^|;\s]+)", lambda found: found[1] + self._names.secret(found[2]), said)
            )
        if plain == "fingerprint":
            kind, blank, digest = said.partition(" ")
            return name + colon + kind + blank + self._names.secret(digest)
        if plain == "rtcp" and (found := _CONNECTION.fullmatch(said)):
            return name + colon + found[1] + self._names.host(found[2]) + self._sweep(found[3])
        if plain in PLAIN_ATTRIBUTES:
            return name + colon + self._sweep(said)
        return self._sweep(name) + colon + self._names.secret(said)

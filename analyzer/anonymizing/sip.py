"""SIP messages (RFC 3261) with other names in them, of the same length, line by line: whatever is whole of them."""

import re
from collections.abc import Callable
from functools import lru_cache

from analyzer.anonymizing.bodies import Bodies
from analyzer.anonymizing.names import Names
from analyzer.anonymizing.sweep import Sweep
from analyzer.tools.sipvicious import MIN_DIGITS

Rewrite = Callable[[str], str]

_HEAD_END = re.compile(r"\r?\n\r?\n")
_HEADER = re.compile(r"([^\s:]+)([ \t]*:)((?:[^\r\n]|\r?\n[ \t]|\r(?!\n))*)")
_START = re.compile(r"([^ \r\n]+)( +)([^\r\n]*?)( +SIP/[0-9.]+[ \t]*)$", re.IGNORECASE)
_URI = re.compile(r"(?i)\b(sips?|tel|im|pres|xmpp|mailto|callto|h323|https?|ftp|urn|fax|msrps?|wss?)(:)([^\s<>\"]*)")
_PIECE = re.compile(r'"(?:[^"\\]|\\.)*"?|<[^>]*>?|[^"<]+', re.DOTALL)
_PARAMETER = re.compile(r'(;[ \t]*)([^=;,\s"]+)([ \t]*=[ \t]*)("(?:[^"\\]|\\.)*"?|[^;,\s>]+)')
_VIA = re.compile(r"(SIP[ \t]*/[ \t]*[0-9.]+[ \t]*/[ \t]*\w+[ \t]+)([^\s;,]+)", re.IGNORECASE)
_CREDENTIAL = re.compile(r'([\w-]+)([ \t]*=[ \t]*)("(?:[^"\\]|\\.)*"?|[^,\s]+)')
_TAG = re.compile(r"((?:[0-9a-f]{2})+)01((?:3[0-9]){1,10})")
_TARGET = re.compile(r"[0-9a-f]{12}")
_VERSION = re.compile(
    r"(?:(?<=[ /(-])[A-Za-z]{0,2}(\d{1,2}\.\d{1,2}\.\d{1,2}\.\d{1,3})|(?<=\w\.)((?:\d{1,3}\.){3}\d{1,3}))(?!\.?\w)"
)
"""What looks like an address behind a product; few addresses have three such octets, and none begins in a word."""
_CELL = re.compile(r"(;[ \t]*[^=;,\s\"]+[ \t]*=[ \t]*)(\"[^\"]*\"?|[^;,\s]+)")
_AGENT = re.compile(r"((?:^|,)[ \t]*\d{3}[ \t]+)([^ \t\",]+)")
_HOST_PORT = re.compile(r"(\[[^\]]*\]|[^:]*)(:.*)?", re.DOTALL)

LONG_NAMES = {
    "v": "via", "f": "from", "t": "to", "m": "contact", "i": "call-id", "e": "content-encoding", "l": "content-length",
    "c": "content-type", "s": "subject", "k": "supported", "o": "event", "u": "allow-events", "r": "refer-to",
    "b": "referred-by", "x": "session-expires", "a": "accept-contact", "j": "reject-contact",
    "d": "request-disposition",
    "y": "identity", "n": "identity-info",
}  # fmt: skip
"""What the compact forms of header names stand for."""
ADDRESSES = frozenset({
    "from", "to", "contact", "route", "record-route", "refer-to", "referred-by", "reply-to", "path", "service-route",
    "p-asserted-identity", "p-preferred-identity", "remote-party-id", "rpid", "diversion", "history-info",
    "p-associated-uri", "p-called-party-id", "p-served-user", "alert-info", "call-info", "error-info", "cc-redirect",
    "proxy-require-uri", "permission-missing", "trigger-consent", "geolocation", "p-profile-key", "p-refused-uri-list",
    "identity-info", "accept-contact", "reject-contact",
})  # fmt: skip
"""The headers that hold names and URIs of people."""
CREDENTIALS = frozenset({
    "authorization", "proxy-authorization", "www-authenticate", "proxy-authenticate", "authentication-info",
    "proxy-authentication-info",
})  # fmt: skip
PLAIN = frozenset({
    "cseq", "max-forwards", "content-length", "content-type", "content-encoding", "content-disposition", "expires",
    "min-expires", "allow", "supported", "unsupported", "require", "proxy-require", "accept", "accept-encoding",
    "accept-language", "content-language", "allow-events", "event", "session-expires", "min-se", "timestamp", "date",
    "mime-version", "rack", "rseq", "priority", "privacy", "retry-after", "subscription-state", "refer-sub", "reason",
    "warning", "user-agent", "server", "answer-mode", "request-disposition", "sip-etag", "sip-if-match",
    "suppress-if-match",
    "flow-timer", "recv-info", "info-package", "max-breadth", "upgrade", "connection", "sec-websocket-version",
    "sec-websocket-key", "sec-websocket-accept", "sec-websocket-protocol", "sec-websocket-extensions", "x-rtp-stat",
    "p-early-media", "feature-caps", "security-client", "security-server", "security-verify", "p-rtp-stat",
    "p-charging-function-addresses", "p-access-network-info", "in-reply-to", "replaces", "join", "target-dialog",
    "call-id", "p-charging-vector", "history", "user-to-user-id",
})  # fmt: skip
"""The headers that say what is asked for and what is possible: only what is known by name is replaced in them."""
KEPT_PARAMETERS = frozenset({
    "transport", "user", "method", "ttl", "lr", "expires", "q", "rport", "branch", "ob", "comp", "sigcomp-id", "reg-id",
    "isub", "cause", "reason", "privacy", "screen", "counter", "index", "party", "id-type", "duration", "purpose",
    "line",
    "rinstance", "alias", "keep", "npdi", "cpc", "automata", "audio", "video", "text", "mode", "sos", "ftag",
    "did", "nat", "refresher", "retry-after", "handling", "tag",
})  # fmt: skip
"""The parameters whose values are words of the protocol, or tokens without meaning."""
HOSTS = frozenset({
    "received", "maddr", "addr", "host", "ruri-host", "domain", "proxy", "orig-ioi", "term-ioi", "transit-ioi",
    "icid-generated-at", "ccf", "ecf", "ccf-2", "ecf-2",
})  # fmt: skip
SECRETS = frozenset({"response", "rspauth", "auts", "ck", "ik", "password", "passwd", "signature", "credential"})
"""What is made of a secret, or is one."""


class Messages:
    """Rewrites messages; one for each capture."""

    def __init__(self, names: Names, sweep: Sweep) -> None:
        """Take the names, and what looks for them."""
        self.names, self.sweep = names, sweep
        self.bodies = Bodies(names, sweep, self.rewrite)
        self.header = lru_cache(maxsize=1 << 16)(self._header)

    def rewrite(self, text: str) -> str:
        """Return a message (bytes as latin-1 text), or the part of one that was captured, in the same length."""
        lead = len(text) - len(text.lstrip("\r\n"))
        end = _HEAD_END.search(text, lead)
        head, blank, body = (text[lead : end.start()], end[0], text[end.end() :]) if end else (text[lead:], "", "")
        first, line, rest = _cut_line(head)
        headers: dict[str, str] = {}
        named = self._headers(rest, headers)
        return text[:lead] + self.start_line(first) + line + named + blank + self.bodies.rewrite(body, headers)

    def start_line(self, line: str) -> str:
        """Return a request line with another request-URI, or a status line whose reason names nobody."""
        found = _START.match(line)
        if not found or line[:4].upper() == "SIP/":
            return self.sweep(line)
        return self.sweep(found[1]) + found[2] + self.uris(found[3], bare=True) + line[found.start(4) :]

    def headers(self, text: str) -> str:
        """Return header lines with other names."""
        return self._headers(text, {})

    def _headers(self, text: str, seen: dict[str, str]) -> str:
        """Return header lines; what they are called, and say, goes into seen."""
        pieces, at = [], 0
        for found in _HEADER.finditer(text):
            pieces.append(self.sweep(text[at : found.start()]))
            name = found[1].lower()
            name = LONG_NAMES.get(name, name)
            seen.setdefault(name, found[3].strip())
            pieces.append(found[1] + found[2] + self.header(name, found[3]))
            at = found.end()
        return "".join(pieces) + self.sweep(text[at:])

    def _header(self, name: str, value: str) -> str:
        """Return the value of a header, by its long name in lower case."""
        if name in ADDRESSES:
            return self._addresses(value)
        if name == "via":
            return self._via(value)
        if name in CREDENTIALS:
            return self._credentials(value)
        if name in {"call-id", "in-reply-to", "replaces", "join", "target-dialog"}:
            return self._call_id(value)
        if name in PLAIN:
            return self._product(value) if name in {"user-agent", "server"} else self._told(name, value)
        return self._addresses(value) if "sip:" in value else self._display(value)

    def _told(self, name: str, value: str) -> str:
        """Return the value of a header that says what is possible, or what happened, and perhaps where."""
        if name in {"p-charging-vector", "p-charging-function-addresses"}:
            return self._parameters(";" + value)[1:]
        if name == "p-access-network-info":
            return _CELL.sub(lambda found: found[1] + self.names.secret(found[2]), value)
        if name == "warning":
            pieces = _AGENT.split(value)  # text, code, agent, text, code, ...
            pieces[2::3] = [self._host_port(agent) for agent in pieces[2::3]]
            pieces[::3] = [self.uris(text) for text in pieces[::3]]
            return "".join(pieces)
        return self.uris(value)

    def _product(self, value: str) -> str:
        """Return what a program says of itself: versions stay, even where they have the form of an address."""
        pieces, at = [], 0
        for found in _VERSION.finditer(value):
            if not self.sweep.knows(found[1] or found[2]):
                pieces.append(self.uris(value[at : found.start()]) + found[0])
                at = found.end()
        return "".join(pieces) + self.uris(value[at:])

    def _via(self, value: str) -> str:
        pieces, at = [], 0
        for found in _VIA.finditer(value):
            pieces.append(self._parameters(value[at : found.start()]) + found[1] + self._host_port(found[2]))
            at = found.end()
        return "".join(pieces) + self._parameters(value[at:])

    # --- URIs (RFC 3261 19.1, RFC 3966)

    def uris(self, text: str, *, bare: bool = False) -> str:
        """Return text with other names in all its URIs, the rest swept; bare text without a scheme is a URI too."""
        pieces, at = [], 0
        for found in _URI.finditer(text):
            pieces.append(self.sweep(text[at : found.start()]) + found[1] + found[2])
            pieces.append(self._uri(found[1].lower(), found[3]))
            at = found.end()
        if bare and not at:
            return self._uri("sip", text)
        return "".join(pieces) + self.sweep(text[at:])

    def _uri(self, scheme: str, rest: str) -> str:
        if scheme in {"tel", "fax", "callto"}:
            number, sign, parameters = rest.partition(";")
            return self.names.user(number) + self._parameters(sign + parameters, everything=True)
        if scheme == "urn":
            kind, sign, value = rest.partition(":")
            return kind + sign + (value if kind.lower() == "service" else self.names.secret(value))
        if rest.startswith("//"):
            return self._web(rest)
        at = rest.rfind("@")
        who, where = (rest[:at], rest[at + 1 :]) if at >= 0 else ("", rest)
        host = re.match(r"\[[^\]]*\]?(?::\d*)?|[^;?>,]*", where)
        cut = host.end() if host else 0
        named = self._user(who, where[:cut]) + "@" if at >= 0 else ""
        return named + self._host_port(where[:cut]) + self._parameters(where[cut:], everything=True)

    def _user(self, who: str, host: str) -> str:
        """Return the user part of a URI: user, parameters, password."""
        if who == "100" and self.names.host(host.partition(":")[0]) == host.partition(":")[0]:
            return who  # as SIPVicious writes it, at an address that is nobody's
        user, colon, password = who.partition(":")
        user, sign, parameters = user.partition(";")
        return self.text(user) + self._parameters(sign + parameters, everything=True) + colon + self.text(password)

    def text(self, user: str) -> str:
        """Return the name of a user; an injection is left what it is, but for what is known of the protected side."""
        if len(user) > 255 or re.search(r"['\"`$<>\\|&{}()]|%[0-9A-Fa-f]{2}.*%|\.\./|%[nsxp]", user):
            from analyzer.detectors.exploit import injects

            if injects(_as_utf8(user)):
                return self.sweep(user)
        return self.names.user(user)

    def _web(self, rest: str) -> str:
        host, slash, path = rest[2:].partition("/")
        who, at, where = host.rpartition("@")
        return "//" + self.names.secret(who) + at + self._host_port(where) + slash + self.names.secret(path)

    def _host_port(self, text: str) -> str:
        if text.count(":") > 1 and not text.startswith("["):
            return self.names.host(text)
        found = _HOST_PORT.fullmatch(text)
        return self.names.host(found[1]) + (found[2] or "") if found else self.sweep(text)

    def _parameters(self, text: str, *, everything: bool = False) -> str:
        """Return parameters (;name=value) with other names in their values; the rest swept."""
        pieces, at = [], 0
        for found in _PARAMETER.finditer(text):
            pieces.append(self.uris(text[at : found.start()]))
            pieces.append(found[1] + found[2] + found[3] + self._value(found[2].lower(), found[4], everything))
            at = found.end()
        return "".join(pieces) + self.uris(text[at:])

    def _value(self, name: str, value: str, everything: bool) -> str:  # noqa: FBT001
        quote = '"' if value.startswith('"') else ""
        inner = value[1:-1] if quote and value.endswith('"') and len(value) > 1 else value[len(quote) :]
        if name == "tag":
            named = self.tag(inner)
        elif name in HOSTS:
            named = self._host_port(inner)
        elif name in KEPT_PARAMETERS:
            named = self.sweep(inner)
        elif name in SECRETS or name in {"+sip.instance", "gr", "temp-gruu", "pub-gruu", "icid-value"}:
            named = self.names.secret(inner) if name != "+sip.instance" else self.uris(inner)
        elif _URI.match(inner):
            named = self.uris(inner)
        else:
            named = self.sweep.phrase(inner) if everything or quote else self.sweep(inner)
        return value[: len(quote)] + named + value[len(quote) + len(inner) :]

    # --- names and addresses (RFC 3261 20.10)

    def _addresses(self, value: str) -> str:
        pieces = _PIECE.findall(value)
        named = []
        for place, piece in enumerate(pieces):
            follows = pieces[place + 1] if place + 1 < len(pieces) else ""
            if piece.startswith('"'):
                end = 1 if piece.endswith('"') and len(piece) > 1 else 0
                inner = piece[1 : len(piece) - end]
                named.append('"' + self._display(inner) + piece[len(piece) - end :] * bool(end))
            elif piece.startswith("<"):
                named.append(self._bracketed(piece))
            elif follows.startswith("<") and ";" not in piece.rpartition(",")[2] and not _URI.search(piece):
                comma = piece.rfind(",") + 1
                named.append(self._parameters(piece[:comma]) + self._display(piece[comma:]))
            elif _URI.match(piece.lstrip()) and (not named or named[-1].rstrip().endswith(",")):
                named.append(self._bare(piece))
            else:
                named.append(self._parameters(piece))
        return "".join(named)

    def _bracketed(self, piece: str) -> str:
        end = 1 if piece.endswith(">") and len(piece) > 1 else 0
        inner = piece[1 : len(piece) - end]
        named = self.uris(inner, bare=True) if inner.strip("* ") else inner
        return "<" + named + piece[len(piece) - end :] * bool(end)

    def _bare(self, piece: str) -> str:
        """Return an address without brackets: the parameters behind it are the header's (RFC 3261 20)."""
        cut = re.search(r"[;,]", piece[piece.rfind("@") + 1 :] if "@" in piece else piece)
        at = len(piece) if not cut else cut.start() + (piece.rfind("@") + 1 if "@" in piece else 0)
        return self.uris(piece[:at]) + self._parameters(piece[at:])

    def _display(self, text: str) -> str:
        inner = text.strip()
        if not inner:
            return text
        before, after = _edges(text)
        if _URI.search(inner):
            return before + self.uris(inner) + after
        if re.search(r"['`$<>\\|&{}()]", inner) and self.text(inner) == self.sweep(inner):
            return before + self.sweep(inner) + after
        return before + self.sweep.phrase(inner) + after

    # --- tokens

    def tag(self, text: str) -> str:
        """Return a tag; of SIPVicious', what it says is said of the other names (see analyzer.tools.sipvicious)."""
        found = _TAG.fullmatch(text)
        if not found:
            return self.sweep(text)
        data = bytes.fromhex(found[1])
        if len(found[2]) // 2 < MIN_DIGITS and not data.isascii():
            return self.sweep(text)
        said = data.decode("latin-1")
        return self._said(said).encode("latin-1").hex() + "01" + found[2]

    def _said(self, data: str) -> str:
        """Return what a tag says: a target as hex, or an account, with a password perhaps."""
        if _TARGET.fullmatch(data):
            return self.names.address.packed(bytes.fromhex(data[:8])).hex() + data[8:]
        bare = self._bare_ipv6(data)
        if bare is not None:
            return bare
        account, colon, password = data.partition(":")
        return self.text(account) + colon + self.text(password)

    def _bare_ipv6(self, data: str) -> str | None:
        """Return a target without its colons, and its port, by another name if it is one that packets went to."""
        return next(
            (
                self.names.address(text).replace(":", "") + data[-4:]
                for text in self.targets
                if data == text.replace(":", "") + data[-4:]
            ),
            None,
        )

    targets: tuple[str, ...] = ()
    """The IPv6 addresses that packets went to."""

    def _call_id(self, value: str) -> str:
        """Return a Call-ID: what follows the @ is a host, by intention."""
        cut = re.search(r"[;]", value)
        end = cut.start() if cut else len(value)
        before, after = _edges(value[:end])
        inner = value[:end].strip()
        local, at, host = inner.rpartition("@")
        named = self.sweep(local) + at + (self._host_port(host) if at else self.sweep(host))
        return before + named + after + self._parameters(value[end:])

    # --- credentials (RFC 3261 22, RFC 7616)

    def _credentials(self, value: str) -> str:
        scheme = value.split(None, 1)[0].lower() if value.strip() else ""
        if scheme in {"basic", "bearer", "ntlm", "negotiate", "kerberos"}:
            start = value.lower().find(scheme) + len(scheme)
            return value[:start] + self.names.secret(value[start:])
        return _CREDENTIAL.sub(lambda found: found[1] + found[2] + self._credential(found[1].lower(), found[3]), value)

    def _credential(self, name: str, value: str) -> str:
        quote = '"' if value.startswith('"') else ""
        end = '"' if quote and value.endswith('"') and len(value) > 1 else ""
        inner = value[len(quote) : len(value) - len(end)]
        if name == "username":
            user, at, host = inner.partition("@")
            named = self.text(user) + at + (self.names.host(host) if at else "")
        elif name == "uri":
            named = self.uris(inner, bare=True)
        elif name in {"realm", "domain"}:
            named = self.uris(inner) if ":" in inner and "." not in inner.split(":")[0] else self._realm(inner)
        elif name in SECRETS:
            named = self.names.secret(inner)
        else:
            named = self.sweep(inner)
        return quote + named + end

    def _realm(self, text: str) -> str:
        if re.fullmatch(r"[\w.-]+", text) and "." in text:
            return self.names.host(text)
        who, at, host = text.rpartition("@")
        return self.names.phrase(who) + at + self.names.host(host) if at else self.sweep.phrase(text)


def _cut_line(text: str) -> tuple[str, str, str]:
    """Return the first line, what ends it, and the rest."""
    found = re.search(r"\r?\n", text)
    return (text[: found.start()], found[0], text[found.end() :]) if found else (text, "", "")


def _edges(text: str) -> tuple[str, str]:
    """Return the blanks before and behind what stands in text."""
    inner = text.strip()
    start = text.find(inner)
    return text[:start], text[start + len(inner) :]


def _as_utf8(text: str) -> str:
    return text.encode("latin-1", "replace").decode("utf-8", "replace")

"""The slow and obvious twin of every SIP kernel: bytes in, bytes out, written with regular expressions."""

import itertools
import re
from dataclasses import dataclass, field

from analyzer.sip.grammar import MAX_GAP, MAX_HEADERS, MAX_LAYOUT_NAMES, MAX_NAME, MAX_QUOTE, NONE

SPACE = b" \t\r\n"
QUOTED = re.compile(rb'"(?:[^"\\]|\\.)*"', re.DOTALL)
FIRST_VALUE = re.compile(rb'(?:"(?:[^"\\]|\\.)*"|<[^>]*>|[^,])*', re.DOTALL)
TOKEN = rb"[A-Za-z0-9\-.!%*_+`'~]+"
REQUEST_LINE = re.compile(TOKEN + rb" [^ \t<][^ \t]* (?i:SIP/2\.0)")
STATUS_LINE = re.compile(rb"([^ \t]*)([ \t]*)([^ \t]*)")
LONG = {
    b"f": b"from", b"t": b"to", b"i": b"call-id", b"v": b"via", b"m": b"contact", b"l": b"content-length",
    b"s": b"subject",
}  # fmt: skip
ONCE = (b"from", b"to", b"call-id", b"cseq")
MANDATORY = (b"via", b"from", b"to", b"call-id", b"cseq")


@dataclass
class Message:
    """What split finds: fields and numbers by name (only those that are there), and what is wrong."""

    fields: dict[str, bytes] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    reasons: set[str] = field(default_factory=set)
    quoted: dict[str, bytes] = field(default_factory=dict)
    layout: bytes = b""

    def put(self, **fields):
        self.fields.update({name: value for name, value in fields.items() if value})

    def put_number(self, name, value):
        if value is not None and value != NONE:
            self.numbers[name] = value

    def flag(self, reason, evidence=None, quote=b""):
        if reason not in self.reasons and evidence:
            self.quoted[evidence] = quote[:MAX_QUOTE]
        self.reasons.add(reason)


def split(payload, missing=0):
    """Return the Message that payload, of which the capture left out so many bytes, holds."""
    message = Message()
    text = payload.lstrip(SPACE)
    lines = [line for line in re.finditer(rb"([^\r\n]*)(\r\n|\r|\n|\Z)", text) if line.start() < len(text)]
    first, first_end = (lines[0][1], lines[0][2]) if lines else (b"", b"")
    request = first[:4].lower() != b"sip/"
    (read_request_line if request else read_status_line)(message, first)
    headers, body = split_headers(text, lines[1:])
    values = read_headers(message, headers, b"LF " if first_end == b"\n" else b"")
    read_values(message, values, request=request)
    read_body(message, values, body, missing)
    message.numbers["MESSAGE_BYTES"] = len(text) - len(body or b"") + message.numbers["BODY_BYTES"]
    message.numbers["AUTHORIZED"] = int(request and (b"authorization" in values or b"proxy-authorization" in values))
    if missing:
        message.flag("CUT")
    if body is not None or not missing:
        check_mandatory(message, values)
    head = text[: len(text) - len(body or b"")]
    control = re.search(rb"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", head)
    if control:
        message.flag("CONTROL_CHARACTER")
        message.numbers["CONTROL"] = control[0][0] + 256 * (len(payload) - len(text) + control.start())
    for value in message.fields.values():
        try:
            value.decode()
        except UnicodeDecodeError:
            message.flag("NOT_UTF8")
    return message


def read_status_line(message, line):
    version, gap, code = STATUS_LINE.match(line).groups()
    good = re.fullmatch(rb"[1-6][0-9][0-9]", code)
    if good:
        message.numbers["STATUS"] = int(code)
    if not (good and version.lower() == b"sip/2.0" and gap == b" "):
        message.flag("BAD_START_LINE", "START_LINE", line)


def read_request_line(message, line):
    method = re.match(rb"[^ \t]*", line)[0]
    rest = line[len(method) :].strip(SPACE)
    version = re.search(rb"[^ \t]*\Z", rest)
    uri = rest[: version.start()].rstrip(SPACE) if version[0][:4].lower() == b"sip/" else rest
    inner = uri[1:].split(b">")[0] if uri.startswith(b"<") else uri
    message.put(METHOD=method, URI=uri, URI_USER=read_uri(inner)[0])
    if not REQUEST_LINE.fullmatch(line):
        message.flag("BAD_START_LINE", "START_LINE", line)


def split_headers(text, lines):
    """Return the headers, each as its first line and the whole of it, and the body: None without a blank line."""
    spans = []
    for line in lines:
        if not line[1]:
            return [(first, text[start:end]) for first, start, end in spans], text[line.end() :]
        if line[1][:1] in (b" ", b"\t") and spans:
            spans[-1] = (*spans[-1][:2], line.end(1))
        else:
            spans.append((line[1], line.start(), line.end(1)))
    return [(first, text[start:end]) for first, start, end in spans], None


def read_headers(message, headers, prefix):
    """Return the first value of each header by its long name, in the order in which they stand."""
    values, items = {}, []
    for first, whole in headers[:MAX_HEADERS]:
        if b":" not in first:
            message.flag("LINE_WITHOUT_COLON", "LINE", first)
            continue
        name, rest = first.split(b":", 1)
        items.append(layout_item(name, rest))
        if not re.fullmatch(TOKEN, name.rstrip(SPACE)):
            message.flag("BAD_HEADER_NAME", "NAME", name)
            continue
        key = name.rstrip(SPACE).lower()
        key = LONG.get(key, key)
        value = whole[len(name) + 1 :].strip(SPACE)
        if value and key in (b"user-agent", b"server"):
            value = whole[len(name) + 1 :].lstrip(SPACE)
        if key in ONCE and values.get(key, value) != value:
            message.flag("REPEATED_HEADER", "REPEATED", whole.rstrip(SPACE))
        values.setdefault(key, value)
    if len(headers) > MAX_HEADERS:
        message.flag("TOO_MANY_HEADERS")
    names = [name for name, _ in itertools.groupby(items)]
    names[MAX_LAYOUT_NAMES:] = ["…".encode()] * (len(names) > MAX_LAYOUT_NAMES)
    message.layout = prefix + b",".join(names) if names else b""
    return values


def layout_item(name, rest):
    token = name.rstrip(SPACE)
    before, after = name[len(token) :], re.match(rb"[ \t]*", rest)[0]
    shown = token if re.fullmatch(TOKEN, token) and len(token) <= MAX_NAME else b"?"
    if (before, after) == (b"", b" "):
        return shown
    return (
        (shown + before[:MAX_GAP] + b":" + after[:MAX_GAP])
        .replace(b" ", b"_")
        .replace(b"\t", b"\x00")
        .replace(b"\x00", b"~")
    )


def read_values(message, values, *, request):
    if b"from" in values:
        name, uri, params = read_address(values[b"from"])
        user, host = read_uri(uri)
        message.put(FROM_NAME=name, FROM_USER=user, FROM_HOST=host, FROM_TAG=find_param(params, b"tag", b";"))
    if b"to" in values:
        _, uri, params = read_address(values[b"to"])
        user, host = read_uri(uri)
        message.put(TO_USER=user, TO_HOST=host, TO_TAG=find_param(params, b"tag", b";"))
    if b"via" in values:
        read_via(message, FIRST_VALUE.match(values[b"via"])[0])
    if b"contact" in values:
        contact = FIRST_VALUE.match(values[b"contact"])[0]
        message.put(CONTACT=contact.rstrip(SPACE))
        _, _, params = read_address(contact)
        message.put_number("EXPIRES", read_number(find_param(params, b"expires", b";")))
    if "EXPIRES" not in message.numbers:
        message.put_number("EXPIRES", read_number(values.get(b"expires")))
    if values.get(b"cseq"):
        read_cseq(message, values[b"cseq"], request=request)
    message.put(
        CALL_ID=values.get(b"call-id"),
        USER_AGENT=values.get(b"user-agent"),
        SERVER=values.get(b"server"),
        SUBJECT=values.get(b"subject"),
    )
    names = (b"authorization", b"proxy-authorization") if request else (b"www-authenticate", b"proxy-authenticate")
    for auth in [value for name, value in values.items() if name in names][:1]:
        scheme = re.match(rb"[^ \t\r\n]*", auth)[0]
        params = auth if b"=" in scheme else auth[len(scheme) :]
        message.put(NONCE=find_param(params, b"nonce", b","))
        if request:
            message.put(AUTH_USER=find_param(params, b"username", b","))


def read_via(message, value):
    head, semicolon, params = value.partition(b";")
    if head.count(b"/") >= 2:
        sent = head.split(b"/", 2)[2]
        sent_by = re.match(rb"[ \t\r\n]*[^ \t\r\n]*[ \t\r\n]*(.*)", sent, re.DOTALL)[1]
        message.put(VIA_HOST=sent_by.rstrip(SPACE))
    message.put(BRANCH=find_param(semicolon + params, b"branch", b";"))


def read_cseq(message, value, *, request):
    digits, gap, method, rest = re.match(rb"([0-9]*)([ \t\r\n]*)([^ \t\r\n]*)(.*)", value, re.DOTALL).groups()
    number = read_number(digits)
    message.put_number("CSEQ", number)
    if number is None or number >= 2**31 or not gap or rest or not re.fullmatch(TOKEN, method):
        message.flag("BAD_CSEQ", "CSEQ", value)
    if not request:
        message.put(METHOD=method)
    elif method and method != message.fields.get("METHOD"):
        message.flag("CSEQ_METHOD")


def read_body(message, values, body, missing):
    if body is None:
        message.numbers["BODY_BYTES"] = 0
        if not missing:
            message.flag("NO_BLANK_LINE")
        return
    size = len(body)
    if b"content-length" in values:
        promised = read_number(values[b"content-length"])
        message.put_number("PROMISED", promised)
        if promised is None:
            message.flag("BAD_LENGTH", "LENGTH", values[b"content-length"])
        else:
            size = min(promised, len(body))
            if promised - len(body) > missing:
                message.flag("LENGTH_TOO_LARGE")
            if body[size:].strip(SPACE):
                message.flag("SURPLUS")
                message.numbers["SURPLUS"] = len(body) - size
    message.numbers["BODY_BYTES"] = size
    read_sdp(message, body[:size])


def read_sdp(message, body):  # noqa: C901
    begun, media = False, 0
    for line in re.split(rb"\r\n|\r|\n", body):
        if len(line) < 3 or line[1:2] != b"=":
            continue
        kind, value = line[:1], line[2:].lstrip(SPACE)
        words = [*re.split(rb"[ \t]+", value), b"", b""]
        if kind == b"v":
            begun = True
        if not begun or not value:
            continue
        if kind == b"o" and "SDP_NAME" not in message.fields:
            origin = re.fullmatch(rb"(.*[^ \t])((?:[ \t]+[^ \t]+){5})", value.rstrip(SPACE), re.DOTALL)
            message.put(
                SDP_NAME=origin[1] if origin else words[0], SDP_ADDRESS=origin and re.split(rb"[ \t]+", origin[2])[-1]
            )
        if kind == b"s" and "SDP_SESSION" not in message.fields:
            message.put(SDP_SESSION=value.rstrip(SPACE))
        if kind == b"c":
            message.put(MEDIA_ADDRESS=words[2].split(b"/")[0])
        if kind == b"m":
            media += 1
            port = words[1].split(b"/")[0]
            if media == 2:
                return
            if read_number(port) is not None:
                message.put(MEDIA_PORT=port)


def check_mandatory(message, values):
    absent = sum(1 << bit for bit, name in enumerate(MANDATORY) if not values.get(name))
    message.numbers["ABSENT"] = absent
    if absent:
        message.flag("MISSING_HEADER")


# --- what headers are made of


def read_number(value):
    return int(value) if value and re.fullmatch(rb"[0-9]+", value) and int(value) < 2**63 else None


def unquote(value):
    value = value.strip(SPACE)
    quoted = QUOTED.match(value)
    return quoted[0][1:-1] if quoted else value


def mask(value):
    """Return value with quoted strings blotted out."""
    return QUOTED.sub(lambda quoted: b"\0" * len(quoted[0]), value)


def find_param(params, name, separator):
    """Return the value of the first parameter of that name, b"" if it has none, None if there is no such parameter."""
    at = 0
    for segment in mask(params).split(separator):
        equal = segment.find(b"=")
        end = at + len(segment)
        name_end = end if equal < 0 else at + equal
        if params[at:name_end].strip(SPACE).lower() == name:
            return unquote(params[name_end + 1 : end])
        at = end + 1
    return None


def read_address(value):
    """Return display name, URI and header parameters."""
    less = mask(value).find(b"<")
    name, rest = (None, value) if less < 0 else (unquote(value[:less]), value[less + 1 :].lstrip(SPACE))
    if less >= 0 and b">" in rest:
        uri, params = rest.split(b">", 1)
        return name, uri.rstrip(SPACE), params
    semicolon = mask(rest).find(b";")
    end = len(rest) if semicolon < 0 else semicolon
    return name, rest[:end].rstrip(SPACE), rest[end:]


def read_uri(uri):
    """Return user and host."""
    if uri[:4].lower() == b"tel:":
        return uri[4:].lstrip(SPACE).split(b";")[0].rstrip(SPACE), None
    for scheme in (b"sip:", b"sips:"):
        if uri[: len(scheme)].lower() == scheme:
            uri = uri[len(scheme) :]
            break
    userinfo, at, host = uri.rpartition(b"@") if uri.count(b"@") < 2 else uri.partition(b"@")
    user = userinfo.split(b":")[0].strip(SPACE) if at else None
    return user, re.split(rb"[;?]", host.lstrip(SPACE))[0].rstrip(SPACE)


# --- columns


def encode(spans):
    """Return the codes of spans, and the distinct ones in the order of their codes."""
    words = list(dict.fromkeys(span for span in spans if span))
    return [words.index(span) if span else NONE for span in spans], words


def show(span):
    """Return a span as text: folds as one space, what is not UTF-8 as \\xNN."""
    return re.sub(rb"[ \t]*[\r\n][ \t\r\n]*", b" ", span).decode("utf-8", "backslashreplace")

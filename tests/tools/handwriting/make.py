"""Record what the real programs write: one file per kind of request, as sent, byte for byte.

Run `python tests/tools/handwriting/make.py` where SIPVicious, nmap, sipsak, SIPp, baresip, Kamailio and
Sofia-SIP's sip-options are installed. Each program is aimed at a socket on a loopback address that this script
reads and answers; at most a few dozen messages are sent, none leaves the machine. The addresses are 127.7.7.x,
so that nothing else is in the way. What is left as `<program>-<case>[-<n>].sip`, of telephones and their stacks
in the folder stacks, is the first request of its kind, unchanged.
"""

import re
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

HERE = Path(__file__).parent
STACKS = HERE / "stacks"
TARGET = "127.7.7.7"
CHALLENGE = 'WWW-Authenticate: Digest realm="loopback", nonce="5f3c0b5d", algorithm=MD5\r\n'
PATIENCE = 20.0
"""Seconds that a program may take before it is ended."""
GUESSES = {"passwords.txt": "letmein\nhunter2\ngeheim:1\n"}
PHONE = {
    "config": "sip_listen 127.7.7.8:15071\nmodule_path /usr/lib/baresip/modules\nmodule account.so\nmodule g711.so\n",
    "accounts": f"<sip:100@{TARGET}>;auth_pass=letmein;regint=60\n",
    "contacts": "",
}
"""A baresip that registers."""
PROXY = {
    "kamailio.cfg": "\n".join(
        [
            "children=1",
            "listen=udp:127.7.7.8:15072",
            *(f'loadmodule "{name}.so"' for name in ("tm", "sl", "dispatcher")),
            'modparam("dispatcher", "list_file", "./targets")',
            'modparam("dispatcher", "ds_ping_interval", 1)',
            'modparam("dispatcher", "ds_probing_mode", 1)',
            "request_route { exit; }",
            "",
        ]
    ),
    "targets": f"1 sip:{TARGET}:5060\n",
}
"""A Kamailio that asks whether its targets are alive."""


def header(request, *names):
    """Return the value of the first header of these names."""
    for name in names:
        found = re.search(rf"(?im)^{name}\s*:\s*(.*?)\r?$", request)
        if found:
            return found[1]
    return ""


def reply(request, status, extra=""):
    """Return the response to a request."""
    to = header(request, "To", "t")
    return (
        f"SIP/2.0 {status}\r\n"
        f"Via: {header(request, 'Via', 'v')}\r\n"
        f"From: {header(request, 'From', 'f')}\r\n"
        f"To: {to}{'' if 'tag=' in to else ';tag=b0b'}\r\n"
        f"Call-ID: {header(request, 'Call-ID', 'i')}\r\n"
        f"CSeq: {header(request, 'CSeq')}\r\n"
        f"{extra}Content-Length: 0\r\n\r\n"
    )


def ok(request):
    """Accept everything."""
    return reply(request, "200 OK", f"Contact: <sip:{TARGET}:5060>\r\n")


def ask(request):
    """Challenge what carries no credentials, refuse what does unless the account is 103."""
    if "uthorization" not in request:
        return reply(request, "401 Unauthorized", CHALLENGE)
    return reply(request, "200 OK") if 'username="103"' in request else reply(request, "403 Forbidden")


def pbx(request):
    """Know the accounts 101 and 103 only."""
    if re.search(r"sip:10[13]@", header(request, "To", "t")):
        return ask(request)
    return reply(request, "404 Not Found")


def listen(server, answer, heard, stop):
    """Answer what arrives until stop is set."""
    while not stop.is_set():
        try:
            data, sender = server.recvfrom(65535)
        except TimeoutError:
            continue
        heard.append(data)
        request = data.decode("utf-8", "replace")
        if answer and not request.startswith(("ACK", "SIP/2.0")):
            server.sendto(answer(request).encode(), sender)


def record(name, command, answer=None, port=5060, into=HERE, files=GUESSES):
    """Run command against the loopback socket, and keep the first request of each kind that it sent."""
    heard, stop = [], threading.Event()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server, tempfile.TemporaryDirectory() as folder:
        server.bind((TARGET, port))
        server.settimeout(0.1)
        listener = threading.Thread(target=listen, args=(server, answer, heard, stop))
        listener.start()
        for file, text in files.items():
            Path(folder, file).write_text(text, encoding="ascii")
        try:
            subprocess.run(command, cwd=folder, timeout=PATIENCE, check=False, capture_output=True)
        except subprocess.TimeoutExpired:
            sys.stderr.write(f"{name}: ended after {PATIENCE} s\n")
        stop.set()
        listener.join()
    kept = {}
    for data in heard:
        if not re.match(rb"[A-Z]+ \S+ SIP/2\.0\r?\n", data):
            continue  # keep-alives, responses, probes for other protocols
        method = data.split(b" ", 1)[0].decode("ascii", "replace")
        kept.setdefault((method, b"uthorization:" in data), data)
    for (method, authorized), data in kept.items():
        path = into / f"{name}-{method.lower()}{'-authorized' if authorized else ''}.sip"
        path.write_bytes(data)
    sys.stdout.write(f"{name}: {len(heard)} messages, {len(kept)} kinds\n")


def sipvicious(program):
    """Return the path of one of the SIPVicious programs."""
    here = Path(sys.executable).parent / f"sipvicious_{program}"
    return str(here) if here.exists() else shutil.which(f"sipvicious_{program}") or f"sipvicious_{program}"


def main():
    """Record them all."""
    local = ["-b", "127.7.7.8", "-x", "127.7.7.8", "-P", "15060"]
    svmap = [sipvicious("svmap"), *local]
    svwar = [sipvicious("svwar"), *local, "-e", "100-103"]
    svcrack = [sipvicious("svcrack"), *local, "-u", "101", "-d", "passwords.txt"]
    record("svmap", [*svmap, TARGET], ok)
    record("svmap-port", [*svmap, "-p", "5070", TARGET], ok, port=5070)
    record("svmap-compact", [*svmap, "-c", TARGET], ok)
    record("svmap", [*svmap, "-m", "REGISTER", TARGET], ok)
    record("svmap", [*svmap, "-m", "INVITE", TARGET], ok)
    record("svwar", [*svwar, TARGET], pbx)
    record("svwar-compact", [*svwar, "-c", TARGET], pbx)
    record("svwar-calling", [*svwar, "-m", "INVITE", TARGET], pbx)
    record("svcrack", [*svcrack, TARGET], ask)
    record("svcrack-compact", [*svcrack, "-c", TARGET], ask)
    nmap = ["nmap", "-n", "-Pn", "-sU", "-p", "5060", "--host-timeout", "15s"]
    record("nmap-version", [*nmap, "-sV", "--version-intensity", "9", TARGET], ok)
    record("nmap-methods", [*nmap, "--script", "sip-methods", TARGET], ok)
    users = "sip-enum-users.minext=100,sip-enum-users.maxext=103"
    record("nmap-enum", [*nmap, "--script", "sip-enum-users", "--script-args", users, TARGET], pbx)
    record("nmap-spoof", [*nmap, "--script", "sip-call-spoof", TARGET], ok)
    few = "brute.firstonly=true,unpwdb.userlimit=2,unpwdb.passlimit=2,brute.threads=1"
    record("nmap-brute", [*nmap, "--script", "sip-brute", "--script-args", few, TARGET], ask)
    sipsak = ["sipsak", "-H", "127.7.7.8", "-l", "15062"]
    record("sipsak", [*sipsak, "-s", f"sip:100@{TARGET}"], ok)
    record("sipsak", [*sipsak, "-U", "-s", f"sip:100@{TARGET}"], ok)
    record("sipsak", [*sipsak, "-M", "-B", "hello", "-s", f"sip:100@{TARGET}"], ok)
    record("sipsak", [*sipsak, "-U", "-I", "-s", f"sip:100@{TARGET}"], ok)
    record("sipsak-flood", [*sipsak, "-F", "-e", "3", "-s", f"sip:100@{TARGET}"], None)
    sipp = ["sipp", "-i", "127.7.7.8", "-p", "15063", "-m", "1", "-timeout", "10", "-nostdin", f"{TARGET}:5060"]
    record("sipp", [*sipp, "-sn", "uac", "-s", "100", "-d", "100"], ok)
    stacks()


def stacks():
    """Record telephones and their stacks."""
    record("sofia", ["sip-options", "--bind=sip:127.7.7.8:15070", f"sip:100@{TARGET}"], ok, into=STACKS)
    record("baresip", ["baresip", "-f", ".", "-t", "3"], ask, into=STACKS, files=PHONE)
    kamailio = ["timeout", "5", "kamailio", "-DD", "-E", "-f", "kamailio.cfg", "-w", ".", "-Y", "."]
    record("kamailio", kamailio, ok, into=STACKS, files=PROXY)


if __name__ == "__main__":
    main()

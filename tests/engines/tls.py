"""A conversation over TLS, recorded with the secrets of its session, and without a network."""

import ssl
import struct
import subprocess
from contextlib import suppress

from engines import pcaps
from needs import program

CLIENT, SERVER = ("192.0.2.10", 49152), ("198.51.100.20", 5061)
FIN, SYN, PSH, ACK = 1, 2, 8, 16


class Wire:
    """A TCP connection as packets: whatever either end sends becomes segments, in order."""

    def __init__(self, client=CLIENT, server=SERVER, largest=1200):
        self.packets = []
        self._largest = largest
        self._ends = {True: client, False: server}
        self._next = {True: 0xFFFFFF00, False: 1000}  # the client's sequence number wraps around
        self._add(True, SYN)
        self._add(False, SYN | ACK)
        self._add(True, ACK)

    def send(self, from_client, data):
        """Add data as segments, each answered with an acknowledgement."""
        for start in range(0, len(data), self._largest):
            self._add(from_client, PSH | ACK, data[start : start + self._largest])
            self._add(not from_client, ACK)

    def write(self, path):
        """End the connection, and write a capture of it."""
        self._add(True, FIN | ACK)
        self._add(False, FIN | ACK)
        path.write_bytes(pcaps.pcap(self.packets, link=pcaps.RAW))
        return path

    def _add(self, from_client, flags, data=b""):
        (source, port), (destination, other) = self._ends[from_client], self._ends[not from_client]
        numbers = self._next[from_client], self._next[not from_client] if flags & ACK else 0
        header = struct.pack("!HHIIBBHHH", port, other, *numbers, 5 << 4, flags, 8192, 0, 0)
        self.packets.append(pcaps.ipv4(header + data, source=source, destination=destination, protocol=6))
        grown = len(data) + bool(flags & (SYN | FIN))
        self._next[from_client] = (self._next[from_client] + grown) % 2**32


def certificate(folder):
    """Return the files of a self-signed certificate and its key."""
    names = folder / "certificate.pem", folder / "key.pem"
    subject = ["-subj", "/CN=sip.example.net", "-days", "2"]
    command = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", *subject, "-out", names[0], "-keyout", names[1]]
    subprocess.run([program("openssl"), *command], check=True, capture_output=True, timeout=60)
    return names


class Session:
    """Both ends of a TLS session, whose records go over a Wire."""

    def __init__(self, folder, wire, version=ssl.TLSVersion.TLSv1_3):
        self.keylog = folder / "keylog.txt"
        server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        server.load_cert_chain(*certificate(folder))
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        client.minimum_version = client.maximum_version = version
        client.keylog_filename = str(self.keylog)
        self._wire = wire
        self._in = {True: ssl.MemoryBIO(), False: ssl.MemoryBIO()}
        self._out = {True: ssl.MemoryBIO(), False: ssl.MemoryBIO()}
        self._tls = {
            True: client.wrap_bio(self._in[True], self._out[True]),
            False: server.wrap_bio(self._in[False], self._out[False], server_side=True),
        }
        self._shake_hands()

    def _shake_hands(self):
        done = {True: False, False: False}
        for turn in range(20):
            end = turn % 2 == 0
            try:
                self._tls[end].do_handshake()
                done[end] = True
            except ssl.SSLWantReadError:
                pass
            self._flush(end)
        assert all(done.values())

    def _flush(self, end):
        data = self._out[end].read()
        if data:
            self._wire.send(end, data)
            self._in[not end].write(data)

    def say(self, from_client, *texts):
        """Send each text as a TLS record, all in one go."""
        for text in texts:
            self._tls[from_client].write(text)
        self._flush(from_client)
        with suppress(ssl.SSLWantReadError):
            self._tls[not from_client].read(1 << 20)

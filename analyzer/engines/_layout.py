"""What the kernels of the engine read and write: the codes and the records that they share."""

import numpy as np

from analyzer.engines.strays import STRAY

# --- what became of a packet: the index into fates
SIP = 0
SEGMENT = 1  # of a TCP stream that may carry SIP
TCP = 2
FRAGMENT = 3
ICMP = 4
SCTP = 5
NO_SIP = 6
NOT_IP = 7
OTHER_PROTOCOL = 8
GRE = 9
PPPOE = 10
MPLS = 11
HEP = 12
UDP_TUNNEL = 13
OTHER_TUNNEL = 14
LINK_TYPE = 15
CUT = 16  # this and all that follow are unreadable
BAD_IP = 17
BAD_UDP = 18
BAD_TCP = 19
BAD_FRAGMENT = 20
TOO_DEEP = 21
BAD_BLOCK = 22
NO_INTERFACE = 23
FATES = 24
PENDING = 24  # a fragment whose fate is not settled yet

# --- what is to be decoded next; all are above the fates
NEXT = 32
IP = 32  # of the version that its first bits tell
IPV4 = 33
IPV6 = 34
TYPE = 35  # an Ethernet type and what follows
PPP = 36
LABELS = 37  # MPLS
UDP = 38
TCP_HEADER = 39
GRE_HEADER = 40
PAYLOAD = 41  # of UDP, and no SIP
HOMER = 42  # a HEP3 packet
PIECE = 43  # a fragment: at its payload in IPv4, at its fragment header in IPv6
DATAGRAM = 44  # the payload of UDP
STREAM = 45  # a TCP segment, at its header
LETTER = 46  # the payload of a HEP3 packet
CHAIN = 256  # plus an IP protocol: what follows an IP header
ETHERTYPE = 1 << 10  # plus an Ethernet type: what follows it
GUESS = 1 << 20  # added where only a port, or the look of the bytes, tells that this is next

EXTENSION = 255
PROTOCOLS = np.full(256, OTHER_PROTOCOL, np.uint8)
"""What an IP protocol is; EXTENSION where another header follows, unencrypted."""
PROTOCOLS[[0, 43, 44, 51, 60, 135, 139, 140]] = EXTENSION
PROTOCOLS[[1, 58]] = ICMP
PROTOCOLS[[4, 6, 17, 41, 47]] = IPV4, TCP_HEADER, UDP, IPV6, GRE_HEADER
PROTOCOLS[[97, 115, 132, 137, 143]] = TYPE, OTHER_TUNNEL, SCTP, LABELS, TYPE

# --- why a search for packets ended
MORE = 0  # the bytes end within a record
DAMAGED = 1  # a record cannot be as long as it says
ENOUGH = 2  # there is no room for another packet
SECTION = 3  # a pcapng block that the caller has to read
INTERFACE = 4
STATISTICS = 5

# --- why settling packets ended
DONE = 0  # there are no more
FULL = 1  # there is no room for another row
UNUSUAL = 2  # settle_all is to go on with the next one

# --- the index into tally
ROWS = 0  # rows written
NUMBER = 1  # number of the last packet
NOTED = 2  # unreadable packets written into odd
FIRST = 3  # earliest time, -1 if none
LAST = 4  # latest time, -1 if none
SEGMENTS = 5  # segments written
LOST = 6  # datagrams that had a line in lost, or would have had if there had been room
JOINED = 7  # bytes of joined that are in use
ROOM_OF_ROWS = 8  # rows and segments that may be written
STRAYS = 9  # rows of strays written
TALLY = 10

# --- the index into a packet that was found
START = 0  # where it begins, -1 if that cannot be told
CAPTURED_STOP = 1  # where what was captured of it ends
WIRE_STOP = 2  # where it ended on the wire
WHEN = 3  # in ns, -1 if that cannot be told
INTERFACE_OF = 4
FOUND = 5

# --- the index into the place within a packet
IP_AT = 0  # the IP header that was read last
AT = 1  # what is to be decoded next
STOP = 2  # where what was captured ends
END = 3  # where it ended on the wire
SHARED = 4  # how many packets share its fate: more than one where a datagram was put together
PACKET = 5  # its number
TIME = 6
SHIFT = 7  # what its bytes lie behind, in the block and joined as one: 0, or the bytes of the block
PLACE = 8

ROW = np.dtype(
    [
        ("number", np.int64),
        ("time", np.int64),
        ("source", np.int64, (2,)),
        ("destination", np.int64, (2,)),
        ("start", np.int64),
        ("length", np.int64),
        ("missing", np.int64),
        ("source_port", np.uint16),
        ("destination_port", np.uint16),
        ("ttl", np.uint8),
        ("transport", np.uint8),
        ("flags", np.uint8),  # this and the next of TCP segments only
        ("sequence", np.uint32),
    ]
)
"""A packet that may carry SIP; addresses are the bits of uint64."""
ODD = np.dtype([("number", np.int64), ("time", np.int64), ("fate", np.int64)])
"""An unreadable packet."""
LINK = np.dtype(
    [
        ("link", np.int64),  # link type
        ("snap", np.int64),  # snap length, 0 if there is none
        ("resolution", np.int64),  # if_tsresol
        ("offset", np.int64),  # if_tsoffset in ns
        ("aside", np.int64),  # packets set aside for their link type
    ]
)
"""An interface."""
SHOWN = 8
FACTS = np.dtype(
    [
        ("time", np.int64),  # of the first fragment that came
        ("number", np.int64),  # of the same
        ("shown", np.int64, (SHOWN,)),  # numbers of the first few
        ("fragments", np.int64),
        ("packets", np.int64),  # as many, unless fragments came in fragments
        ("source", np.int64, (2,)),
        ("destination", np.int64, (2,)),
        ("total", np.int64),  # bytes of the whole, -1 until the last fragment came
        ("reach", np.int64),  # where the furthest fragment ends
        ("held", np.int64),  # where the first byte is that was not captured
        ("units", np.int64),  # of eight bytes, that came
        ("protocol", np.int64),
        ("state", np.int64),  # GROWING, CLASHED or SPOILT
    ]
)
"""A datagram of which fragments came."""
GROWING = 0
CLASHED = 1  # fragments contradicted each other, the first one counted
SPOILT = 2  # fragments contradicted each other, or its size; nobody puts this together


# --- what is remembered from packet to packet, within bounds
PLACES = 32_768  # of a table; a power of two
KEY = 5
CHUNK = 2048
CHUNKS = 32  # that hold 65,536 bytes
POOL = 32_768  # chunks: 64 MiB
WORDS = 128  # of 64 units of eight bytes
TIMEOUT = 60 * 1_000_000_000  # RFC 8200 section 4.5
MAX_LAYERS = 16  # packets in packets, and datagrams put together

# --- the index into the state of a table
FRESH = 0  # places from here on were never used
FREE = 1  # a place that was dropped; the next is beside it in the chain
OLDEST = 2
NEWEST = 3
LIMIT = 4  # how many places may be used
SECRET = 5  # makes hashes that nobody who writes packets can foresee
ASKED = 6  # the chain of the key that is looked for
STATE = 7

# --- the index into the links of a place
CHAINED = 0  # the next place in the chain
OLDER = 1
NEWER = 2
CHAIN_OF = 3

# --- the index into what is known of spare chunks
SPARE = 0  # the first one
UNUSED = 1  # the first one that was never used
LEFT = 2  # how many may still be used

VERSION_6 = 1 << 40  # in the key of a datagram

TABLE = np.dtype(
    [
        ("state", np.int64, (STATE,)),
        ("keys", np.int64, (PLACES + 1, KEY)),  # the last is the one that is looked for
        ("heads", np.int32, (PLACES,)),  # one more than the first place of each chain, 0 if there is none
        ("links", np.int32, (PLACES, 4)),
    ]
)
"""A hash table of numbered places, each in a chain (by hash) and in a queue (by age)."""
MEMORY = np.dtype(
    [
        ("flows", TABLE),  # TCP flows in which SIP was seen
        ("datagrams", TABLE),  # those of which fragments came
        ("facts", FACTS, (PLACES,)),
        ("units", np.uint64, (PLACES, WORDS)),  # a bit for each unit of eight bytes that came
        ("chunks", np.int32, (PLACES, CHUNKS)),  # where in the pool the bytes are, -1 where there are none
        ("spare", np.int64, (3,)),  # chunks
        ("after", np.int32, (POOL,)),  # the chunk that is spare after this one
        ("pool", np.uint8, (POOL, CHUNK)),
    ]
)
"""One record of it is passed by its address: arrays that are passed one by one make compiling slow."""

# --- what is written of one block
ROWS_AT_ONCE = 65_536
NOTES = 100
STRAYS_AT_ONCE = 32_768
RECENT = 4096  # rows of strays that are found again; a power of two
HEADER = 40  # bytes before a datagram that was put together
ROOM = MAX_LAYERS * (HEADER + 65_536)
WRITTEN = np.dtype(
    [
        ("tally", np.int64, (TALLY,)),
        ("fates", np.int64, (FATES,)),
        ("place", np.int64, (PLACE,)),
        ("rows", ROW, (ROWS_AT_ONCE,)),
        ("segments", ROW, (ROWS_AT_ONCE,)),
        ("odd", ODD, (NOTES,)),
        ("lost", FACTS, (NOTES,)),  # those that were given up, and those that clashed
        ("strays", STRAY, (STRAYS_AT_ONCE,)),
        ("recent", np.int32, (RECENT,)),  # one more than the place of a stray, by the hash of its ends; 0 if none
    ]
)

LATEST = 9_000_000_000 * 1_000_000_000
"""Where times end, in ns: the year 2255, and short of what int64 holds, so that a few years can be added."""
SIP_PORT = 5060
MAX_EXTENSIONS = 16
"""Extension headers in a row, of IPv6 and of GTP-U."""

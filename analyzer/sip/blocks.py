"""A capture from block to block: what its TCP streams carry is parsed with the block that completed it."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from analyzer.engines import Packets
    from analyzer.sip.parts import Part


def in_pieces(blocks: "Iterable[Packets]", count: "Callable[[Packets], None]") -> "Iterator[list[Packets]]":
    """Yield each block of a capture, once it was counted, and with it what its segments complete, in pieces in order.

    After the last block comes what still waits for segments that never came, if there were any segments.
    """
    from analyzer.sip.streams import Streams

    streams: Streams | None = None
    for packets in blocks:
        count(packets)
        pieces = [packets]
        if packets.segments is not None and len(packets.segments):
            streams = streams or Streams()
            pieces.append(streams.add(packets.segments))
        yield pieces
    if streams is not None:
        yield [streams.finish()]


def parse_pieces(pieces: "Sequence[Packets]", *, capture: str) -> "tuple[Part, list[Part]]":
    """Return the messages of the pieces of a block in the order of time, and the anomalies, the engine's among them.

    Any number of threads may be within it at a time. Each part may be empty.
    """
    from analyzer.sip.interleaving import interleave
    from analyzer.sip.parser import list_anomalies, parse_part

    packets = interleave(pieces)
    messages, wrong = parse_part(packets, capture=capture)
    return messages, [wrong, list_anomalies(packets.anomalies, capture=capture)]

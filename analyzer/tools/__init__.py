"""Who made this message: programs recognised by their handwriting, tokens and names.

`recognise()` takes the messages table and fills its columns on tools; `load_signatures()` says what it looks for.
`writers()` and `contradictions()` (analyzer.tools.handwriting) tell which phone, PBX or stack wrote a request, and
where that is not what its User-Agent claims; neither accuses anybody.
"""

from typing import TYPE_CHECKING

from analyzer.tools.signatures import Mark, Name, Rule, Signatures, Tool, load_signatures

if TYPE_CHECKING:
    from collections.abc import Collection

    import pandas as pd

__all__ = ["Mark", "Name", "Rule", "Signatures", "Tool", "contradictions", "load_signatures", "recognise", "writers"]


def recognise(messages: "pd.DataFrame", signatures: Signatures | None = None, *, threads: int = 1) -> "pd.DataFrame":
    """Return messages with the tool that wrote each request, how sure that is, why, and what its From tag says.

    tool_confidence is the probability that the tool wrote the message; of several rules that hold, the
    surest counts. Responses, and requests that nothing gives away, are left missing.
    With threads, as many batches of messages are judged at a time.
    """
    from analyzer.tools.recognition import fill

    return fill(messages, signatures or load_signatures(), threads=threads)


def writers(messages: "pd.DataFrame", signatures: Signatures | None = None) -> "pd.Series[str]":
    """Return the program whose handwriting each request bears (see analyzer.tools.handwriting)."""
    from analyzer.tools import handwriting

    return handwriting.writers(messages, signatures)


def contradictions(
    messages: "pd.DataFrame", signatures: Signatures | None = None, *, sources: "Collection[str] | None" = None
) -> "pd.DataFrame":
    """Return which sources claim one program and write like another (see analyzer.tools.handwriting)."""
    from analyzer.tools import handwriting

    return handwriting.contradictions(messages, signatures, sources=sources)

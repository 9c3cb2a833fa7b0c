"""Who made this message: programs recognised by their handwriting, tokens and names.

`recognise()` takes the messages table and fills its columns on tools; `load_signatures()` says what it looks for.
"""

from typing import TYPE_CHECKING

from analyzer.tools.signatures import Mark, Name, Rule, Signatures, Tool, load_signatures

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Mark", "Name", "Rule", "Signatures", "Tool", "load_signatures", "recognise"]


def recognise(messages: "pd.DataFrame", signatures: Signatures | None = None) -> "pd.DataFrame":
    """Return messages with the tool that wrote each request, how sure that is, why, and what its From tag says.

    tool_confidence is the probability that the tool wrote the message; of several rules that hold, the
    surest counts. Responses, and requests that nothing gives away, are left missing.
    """
    from analyzer.tools.recognition import fill

    return fill(messages, signatures or load_signatures())

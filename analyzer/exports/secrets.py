"""Passwords that were seen in the traffic, hidden before a table is handed on.

The From tags of SIPVicious are left as they were sent, because they are evidence; whoever decodes them can
read the guess that they carry.
"""

from functools import lru_cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

MASK = "••••••"
SHORT = 4
"""Passwords of fewer characters are hidden altogether."""


def mask(password: str) -> str:
    """Return at most the first character of a password; how long it is does not show."""
    return f"{password[0]}{MASK}" if len(password) >= SHORT else MASK


@lru_cache(maxsize=1 << 16)
def mask_pair(pair: str) -> str:
    """Return 'account:password' with the password masked."""
    account, _, password = pair.partition(":")
    return f"{account}:{mask(password)}"


def mask_secrets(frame: "pd.DataFrame") -> "pd.DataFrame":
    """Return a table of any kind with the passwords in it masked."""
    import pandas as pd

    frame = frame.copy(deep=False)
    if "passwords" in frame:
        frame["passwords"] = frame["passwords"].map(
            lambda pairs: sorted({mask_pair(pair) for pair in pairs}) if len(pairs) else pairs
        )
    if "tag_password" in frame and frame["tag_password"].notna().any():
        # Guesses repeat: each is masked once, and most messages have none.
        codes, guesses = frame["tag_password"].astype("str").factorize()
        masked = pd.array([mask(guess) for guess in guesses], dtype="str")
        frame["tag_password"] = masked.take(codes, allow_fill=True)
    return frame

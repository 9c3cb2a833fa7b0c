"""A million guesses have a million tags."""

import random
import time

import pytest
from factories import messages

from analyzer.tools import recognise

ROWS = 200_000
SECONDS = 3.0
"""Thirty times the processor time that it takes on a machine that does nothing else."""


@pytest.fixture(scope="module")
def guesses():
    rng = random.Random(8)
    return messages(
        ROWS,
        every="1ms",
        method="REGISTER",
        user_agent="friendly-scanner",
        layout="Via,Max-Forwards,To,From,User-Agent,Call-ID,Contact,CSeq,Accept,Content-Length,Authorization",
        from_user="101",
        from_tag=[f"101:guess{row}\x01{rng.getrandbits(32)}".encode().hex() for row in range(ROWS)],
        call_id=[str(rng.getrandbits(32)) for _ in range(ROWS)],
        branch=[f"z9hG4bK-{rng.getrandbits(32)}" for _ in range(ROWS)],
    )


@pytest.fixture(scope="module")
def calls():
    rng = random.Random(9)
    return messages(
        ROWS,
        every="1ms",
        method="INVITE",
        user_agent="Zoiper rev.11137",
        from_tag=[f"{rng.getrandbits(32):08x}" for _ in range(ROWS)],
        call_id=[f"{rng.getrandbits(128):032x}" for _ in range(ROWS)],
        branch=[f"z9hG4bK{rng.getrandbits(64):016x}" for _ in range(ROWS)],
    )


@pytest.mark.slow
@pytest.mark.parametrize(("traffic", "named"), [("guesses", ROWS), ("calls", 0)])
def test_speed(traffic, named, request):
    table = request.getfixturevalue(traffic)
    start = time.process_time()
    found = recognise(table)
    seconds = time.process_time() - start
    assert found["tool"].notna().sum() == named
    assert found["tag_password"].notna().sum() == named
    assert seconds < SECONDS, f"{ROWS / seconds:,.0f} messages per second"

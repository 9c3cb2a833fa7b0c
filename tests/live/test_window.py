"""The window keeps everybody's latest messages, in bounded room, and loses no count."""

import numpy as np
import pandas as pd
import pytest
from factories import answers, capture_of, messages
from hypothesis import given, settings
from hypothesis import strategies as st
from needs import CAPTURES

from analyzer.capture import open_blocks
from analyzer.engines.native import read_blocks
from analyzer.tables import ANOMALIES
from analyzer.window import ANOMALIES_KEPT, Pending, Window, add_up, latest, make_tables, parse_block


@given(st.lists(st.integers(0, 9), max_size=300), st.integers(1, 120))
@settings(deadline=None)
def test_the_latest_of_each_are_kept(clients, most):
    client = np.array(clients, np.int64)
    kept = latest(client, most)
    assert kept.sum() <= most or len(client) <= most
    shares = []
    for one in set(clients):
        mine = kept[client == one]
        assert not (np.diff(mine.astype(int)) < 0).any()  # the oldest go first
        shares.append((int(mine.sum()), len(mine)))
    largest = max((has for has, _ in shares), default=0)
    assert all(has == had or has >= largest - 1 for has, had in shares)  # nobody loses who has less than others keep


def blocks_of(name, size=4096):
    with open_blocks(CAPTURES / name, size) as blocks:
        for packets in read_blocks(blocks):
            block = parse_block([packets], name)
            if block is not None:
                yield block


def test_pending_messages_are_thinned_out_and_counted():
    pending = Pending(60)
    total = 0
    for block in blocks_of("svwar-svcrack.pcapng"):
        total += block.messages.rows
        pending.add(block)
        assert pending.rows <= 60
    blocks = pending.take()
    table, _ = make_tables(blocks)
    assert total == len(table) + pending.left_out
    assert pending.left_out > 0
    assert pending.rows == 0
    sent = add_up([block.sent for block in blocks])
    whole = add_up([block.sent for block in blocks_of("svwar-svcrack.pcapng")])
    assert sent.sort_by("source").equals(whole.sort_by("source"))
    assert table["source"].nunique() > 3  # all clients are still there


def test_a_slow_attack_stays_in_view_while_others_talk():
    window = Window(1000)
    slow = messages(40, source="203.0.113.9", every="10min")
    window.add(slow, ANOMALIES.empty())
    for number in range(8):
        busy = messages(400, start=f"2024-01-02T{number:02}:00Z", source=["10.0.0.1", "10.0.0.2"] * 200)
        window.add(busy, ANOMALIES.empty())
        window.age()
        assert len(window.messages) <= 1000
    sources = window.messages["source"].value_counts()
    assert sources["203.0.113.9"] == 40
    assert window.aged == 40 + 3200 - len(window.messages)
    assert set(window.messages["source"].cat.categories) == {"203.0.113.9", "10.0.0.1", "10.0.0.2"}


def test_a_request_stays_with_its_answer():
    window = Window(100)
    requests = messages(90, every="1s")
    window.add(capture_of(requests, answers(requests)), ANOMALIES.empty())
    window.age()
    kept = window.messages
    asked, answered = kept[kept["status"].isna()], kept[kept["status"].notna()]
    assert len(kept) == 80
    assert set(asked["call_id"]) == set(answered["call_id"])


def test_what_is_older_than_asked_for_goes():
    window = Window(100)
    window.add(messages(10, start="2024-01-01T00:00Z", every="1h"), ANOMALIES.empty())
    window.age(pd.Timestamp("2024-01-01T04:00Z"))
    assert len(window.messages) == 6


def test_messages_that_come_late_are_put_in_order():
    window = Window(100)
    window.add(messages(3, start="2024-01-01T01:00Z"), ANOMALIES.empty())
    window.add(messages(3, start="2024-01-01T00:00Z"), ANOMALIES.empty())
    assert window.messages["time"].is_monotonic_increasing


@pytest.mark.parametrize("rows", [ANOMALIES_KEPT + 5])
def test_anomalies_are_bounded(rows):
    window = Window(100)
    odd = ANOMALIES.conform(
        pd.DataFrame({
            "time": pd.Timestamp("2024-01-01", tz="UTC"), "capture": "x", "packet": range(rows), "reason": "damaged",
            "detail": "d",
        })
    )  # fmt: skip
    window.add(messages(0), odd.iloc[:10].reset_index(drop=True))
    window.add(messages(0), odd)
    assert len(window.anomalies) == ANOMALIES_KEPT
    assert window.anomalies["packet"].iloc[-1] == rows - 1

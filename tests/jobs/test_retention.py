from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from analyzer.jobs.retention import Thing, choose
from analyzer.jobs.settings import Limit

NOW = datetime(2026, 11, 22, tzinfo=UTC)
THINGS = st.lists(
    st.builds(
        lambda what, hours, size, stays: Thing(what, NOW - timedelta(hours=hours), size, stays),
        st.integers(), st.integers(-5, 200), st.integers(0, 1000), st.booleans(),
    ),
    max_size=30,
)  # fmt: skip
LIMITS = st.builds(
    lambda hours, count: Limit(age=hours and timedelta(hours=hours), bytes=count),
    st.none() | st.integers(1, 300),
    st.none() | st.integers(0, 5000),
)


@settings(deadline=None)
@given(THINGS, LIMITS)
def test_what_is_kept_is_within_the_limits_and_no_more_is_removed(things, limit):
    gone = choose(things, limit, NOW)
    kept = [thing for thing in things if not any(thing is other for other in gone)]
    assert not any(thing.stays for thing in gone)
    free = [thing for thing in kept if not thing.stays]
    assert not limit.age or all(thing.ended >= NOW - limit.age for thing in free)
    total = sum(thing.bytes for thing in kept)
    assert limit.bytes is None or total <= limit.bytes or not free
    for thing in gone:
        old = limit.age and thing.ended < NOW - limit.age
        younger = sum(other.bytes for other in gone if other.ended >= thing.ended)
        assert old or (limit.bytes is not None and total + younger > limit.bytes)


@given(THINGS)
def test_without_limits_nothing_is_removed(things):
    assert choose(things, Limit(), NOW) == []


@given(THINGS)
def test_by_a_clock_in_doubt_nothing_is_old(things):
    assert choose(things, Limit(age=timedelta(hours=1)), None) == []


def test_the_oldest_go_first():
    things = [Thing(hours, NOW - timedelta(hours=hours), 10) for hours in (1, 3, 2)]
    assert [thing.what for thing in choose(things, Limit(bytes=15), NOW)] == [3, 2]

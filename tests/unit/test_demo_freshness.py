"""The demo's percentiles of freshness."""

from firstclick.demo.freshness import WINDOW, Freshness


def test_there_is_no_percentile_of_nothing() -> None:
    freshness = Freshness()
    assert freshness.last_minute(0, 0.5, 0.99) == (None, None)
    assert freshness.overall(0.5) == (None,)


def test_a_percentile_is_what_that_share_of_the_messages_did_not_exceed() -> None:
    freshness = Freshness()
    for milliseconds in range(1, 101):
        freshness.add(0, milliseconds / 1000, 1)
    assert freshness.overall(0.01, 0.5, 0.99, 1) == (1, 50, 99, 100)


def test_each_message_counts_not_each_query() -> None:
    freshness = Freshness()
    freshness.add(0, 0.01, 1)
    freshness.add(0, 0.9, 99)
    assert freshness.overall(0.5) == (900,)


def test_a_latency_is_never_understated() -> None:
    freshness = Freshness()
    freshness.add(0, 0.0101, 1)
    assert freshness.overall(0.5) == (11,)


def test_the_clocks_may_differ_a_little() -> None:
    freshness = Freshness()
    freshness.add(0, -0.002, 1)
    assert freshness.overall(0.5) == (0,)


def test_what_was_seen_more_than_a_minute_ago_is_forgotten() -> None:
    freshness = Freshness()
    freshness.add(10, 5.0, 1)
    freshness.add(20, 0.1, 1)
    assert freshness.last_minute(20, 1) == (5000,)
    assert freshness.last_minute(10 + WINDOW, 1) == (100,)
    assert freshness.last_minute(20 + WINDOW, 1) == (None,)
    assert freshness.overall(1) == (5000,)

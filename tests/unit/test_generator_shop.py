"""How the shop's visitors behave."""

from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime
from itertools import islice, pairwise
from statistics import mean, median
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from firstclick_generator import (
    SEEDS,
    Click,
    Event,
    Product,
    Purchase,
    Shop,
    User,
    read_rows,
)
from firstclick_generator.events import time_text, uuid7

USERS = read_rows(SEEDS / "users.csv", User)
PRODUCTS = read_rows(SEEDS / "products.csv", Product)
START = 1_795_500_000.25
WINDOW = 600_000

Happened = list[tuple[int, Event]]


def shop(seed: int) -> Shop:
    return Shop(seed, USERS, PRODUCTS)


def happened(seed: int, seconds: float, rate: float) -> Happened:
    return list(shop(seed).events(START, START + seconds, rate))


@pytest.fixture(scope="module")
def hour() -> Happened:
    return happened(seed=1, seconds=3600, rate=40)


def purchases(events: Happened) -> list[Purchase]:
    return [event for _, event in events if isinstance(event, Purchase)]


def candidates(events: Happened) -> Iterator[tuple[int, Purchase, list[Click]]]:
    """Yield each purchase with the clicks of its user in the ten minutes before."""
    clicks: dict[str, list[tuple[int, Click]]] = defaultdict(list)
    for now, event in events:
        before = clicks[event.user_id]
        if isinstance(event, Click):
            before.append((now, event))
        else:
            yield now, event, [click for at, click in before if at >= now - WINDOW]


def test_the_same_seed_and_start_give_the_same_events() -> None:
    assert happened(seed=3, seconds=20, rate=100) == happened(3, seconds=20, rate=100)


def test_another_seed_gives_other_events() -> None:
    assert happened(seed=3, seconds=1, rate=100) != happened(4, seconds=1, rate=100)


def test_ids_are_unique_also_when_a_shop_is_opened_again_with_the_same_seed() -> None:
    again = shop(3).events(START + 0.001, START + 20, 500)
    ids = [event.key for _, event in happened(seed=3, seconds=20, rate=500)]
    ids += [event.key for _, event in again]
    assert len(set(ids)) == len(ids)


def test_ids_are_of_version_7_and_begin_with_the_time_of_the_event() -> None:
    for now, event in happened(seed=5, seconds=5, rate=100):
        assert UUID(event.key).version == 7
        assert UUID(event.key).variant == "specified in RFC 4122"
        assert UUID(event.key).int >> 80 == now


def test_events_come_in_the_order_of_their_times_from_start_to_end() -> None:
    times = [now for now, _ in happened(seed=6, seconds=9.5, rate=333)]
    assert all(before <= after for before, after in pairwise(times))
    assert times[0] >= START * 1000
    assert times[-1] < (START + 9.5) * 1000


def test_an_event_says_the_time_at_which_it_happens() -> None:
    for now, event in happened(seed=6, seconds=5, rate=100):
        time = event.click_time if isinstance(event, Click) else event.purchase_time
        assert time == time_text(now)


@pytest.mark.parametrize("rate", [1, 40, 4999])
def test_the_rate_is_kept_in_every_second_from_the_first_on(rate: float) -> None:
    seconds = Counter(
        int(now / 1000 - START) for now, _ in happened(7, seconds=20, rate=rate)
    )
    for second in range(20):
        assert abs(seconds[second] - rate) <= 1 + rate * 0.001


def test_a_rate_below_one_a_second_is_kept_too() -> None:
    assert len(happened(seed=7, seconds=600, rate=0.1)) in range(58, 63)


def test_the_rate_follows_the_day() -> None:
    midnight = 1_795_478_400
    hours = Counter(
        now // 3_600_000 % 24
        for now, _ in shop(8).events(midnight, midnight + 86_400, 0.5)
    )
    assert min(hours, key=hours.__getitem__) in (3, 4)
    assert max(hours, key=hours.__getitem__) in (15, 16)
    assert hours[16] > 1.5 * hours[4]


def test_the_rate_holds_at_the_moment_it_is_given_for() -> None:
    quiet, busy = 1_795_492_800, 1_795_536_000
    events = shop(8).events(quiet, quiet + 100, 100, rate_at=busy)
    assert 5900 < sum(1 for _ in events) < 6100


def test_there_are_four_clicks_to_a_purchase(hour: Happened) -> None:
    share = len(purchases(hour)) / len(hour)
    assert 0.19 < share < 0.21


@pytest.mark.parametrize(
    ("rate", "seconds"), [(2, 14_400), (40, 1800), (500, 120), (20_000, 3)]
)
def test_seven_purchases_in_ten_have_a_click_before_them(
    rate: float, seconds: float
) -> None:
    preceded = [bool(clicks) for _, _, clicks in candidates(happened(9, seconds, rate))]
    assert 0.66 < sum(preceded) / len(preceded) < 0.76


def test_some_purchases_follow_clicks_from_several_sources_and_some_from_one() -> None:
    sources = [
        len({click.source for click in clicks})
        for _, _, clicks in candidates(happened(seed=10, seconds=3600, rate=10))
    ]
    assert sum(count > 1 for count in sources) > 0.3 * len(sources)
    assert sum(count == 1 for count in sources) > 0.1 * len(sources)


def test_purchases_follow_seconds_to_minutes_after_a_click() -> None:
    events = happened(seed=11, seconds=7200, rate=2)
    waits = [
        (now - UUID(clicks[-1].click_id).int // 2**80) / 1000
        for now, _, clicks in candidates(events)
        if clicks
    ]
    assert 10 < median(waits) < 120
    assert sum(wait > 60 for wait in waits) > 0.2 * len(waits)


def test_sources_differ_in_the_purchases_that_follow_a_click(hour: Happened) -> None:
    clicks = Counter(event.source for _, event in hour if isinstance(event, Click))
    firsts = Counter(found[0].source for _, _, found in candidates(hour) if found)
    assert clicks.keys() == {
        *("Facebook", "Google", "Tiktok", "Twitter", "Youtube", "Gmail", "Unknown")
    }
    conversion = {source: firsts[source] / clicks[source] for source in clicks}
    assert conversion["Gmail"] > 2 * conversion["Tiktok"]
    assert conversion["Google"] > 1.2 * conversion["Facebook"]


def test_sources_differ_in_the_value_of_a_basket(hour: Happened) -> None:
    price = {product.product_id: float(product.price) for product in PRODUCTS}
    baskets: dict[str, list[float]] = defaultdict(list)
    for _, purchase, found in candidates(hour):
        if found:
            value = price[purchase.product_id] * purchase.quantity
            baskets[found[0].source].append(value)
    assert mean(baskets["Gmail"]) > 1.08 * mean(baskets["Tiktok"])


def test_categories_differ_in_demand(hour: Happened) -> None:
    category = {product.product_id: product.category for product in PRODUCTS}
    bought = Counter(category[purchase.product_id] for purchase in purchases(hour))
    assert bought["Fashion"] > 2 * bought["Pets"] > 0


def test_payment_methods_differ_in_how_often_they_fail(hour: Happened) -> None:
    tried = Counter(purchase.payment_method for purchase in purchases(hour))
    failed = Counter(
        purchase.payment_method
        for purchase in purchases(hour)
        if purchase.payment_status == "failure"
    )
    assert failed["Skrill"] / tried["Skrill"] > 2 * failed["Visa"] / tried["Visa"]
    assert 0.03 < failed.total() / tried.total() < 0.08


def test_a_failure_has_a_reason_and_a_success_none(hour: Happened) -> None:
    reasons: dict[str, Counter[str]] = defaultdict(Counter)
    for purchase in purchases(hour):
        reasons[purchase.payment_status][purchase.description] += 1
    assert reasons.keys() == {"success", "failure"}
    assert reasons["success"].keys() == {"none"}
    assert "none" not in reasons["failure"]
    assert len(reasons["failure"]) > 5


def test_the_claimed_total_cost_is_right_often_but_not_always(hour: Happened) -> None:
    price = {product.product_id: float(product.price) for product in PRODUCTS}
    right = [
        abs(
            price[purchase.product_id] * purchase.quantity * (1 - purchase.discount)
            + purchase.shipping_cost
            - purchase.total_cost
        )
        < 0.01
        for purchase in purchases(hour)
    ]
    assert 0.7 < sum(right) / len(right) < 0.98


def test_discounts_and_shipping_costs_have_at_most_two_decimals(hour: Happened) -> None:
    for purchase in purchases(hour):
        assert round(purchase.discount, 2) == purchase.discount
        assert round(purchase.shipping_cost, 2) == purchase.shipping_cost


def test_a_shop_with_one_user_and_one_product_of_its_own_kind_works() -> None:
    product = Product("1", "Bolt", "Hardware", "Acme", "0.10", "0.02")
    small = Shop(1, USERS[:1], [product])
    assert len(list(islice(small.events(START, START + 60, 10), 500))) == 500


@given(st.integers(0, 2**48 - 1), st.integers(0, 2**74 - 1))
def test_an_id_holds_its_time_and_all_its_bits(milliseconds: int, bits: int) -> None:
    uuid = UUID(uuid7(milliseconds, bits))
    assert str(uuid) == uuid7(milliseconds, bits)
    assert (uuid.version, uuid.variant) == (7, "specified in RFC 4122")
    assert uuid.int >> 80 == milliseconds
    assert (uuid.int >> 64 & 0xFFF) << 62 | uuid.int & (2**62 - 1) == bits


@given(st.integers(0, 4_000_000_000_000))
def test_a_time_is_written_in_utc_with_milliseconds(milliseconds: int) -> None:
    text = time_text(milliseconds)
    assert len(text) == len("2026-11-23T18:04:05.123Z")
    moment = datetime.fromisoformat(text)
    assert round(moment.timestamp() * 1000) == milliseconds

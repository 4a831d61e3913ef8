"""The oracle follows the specification, sentence by sentence."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from typing import Any

from events import click, purchase
from firstclick.oracle import COLUMNS, Message, Reference, checkout_messages, relations

NOW = datetime(2026, 11, 23, 18, 4, 5, 123_000, tzinfo=UTC)
MS = timedelta(milliseconds=1)
WINDOW = timedelta(minutes=10)
HOUR = timedelta(hours=1)
REFERENCE = Reference.of_rows(
    [{"user_id": "u", "gender": "Female"}, {"user_id": "v", "gender": "Male"}],
    [
        {
            "product_id": name,
            "product_name": f"Name of {name}",
            "category": category,
            "brand": "Brand",
            "price": Decimal(price),
            "commission_rate": Decimal("0.125"),
        }
        for name, category, price in [("p", "Things", "19.99"), ("q", "Others", "1")]
    ],
)


class Log:
    """A log of messages in the order in which they were appended."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        partition: int = 0,
        stamp: datetime = NOW + HOUR,
        log: int = 0,
    ) -> None:
        offset = len(self.messages)
        self.messages.append(Message(topic, key, value, stamp, partition, offset, log))

    def click(
        self, click_id: str, at: datetime = NOW, user_id: str = "u", **fields: Any
    ) -> None:
        self.send(*click(click_id, user_id, at, **fields))

    def purchase(
        self,
        purchase_id: str,
        at: datetime = NOW,
        user_id: str = "u",
        product_id: str = "p",
        **fields: Any,
    ) -> None:
        self.send(*purchase(purchase_id, user_id, product_id, at, **fields))

    def fail(self, purchase_id: str, at: datetime = NOW, **fields: Any) -> None:
        failure = {"payment_status": "failure", "description": "No funds"}
        self.purchase(purchase_id, at, **failure | fields)

    def relation(self, name: str, now: datetime = NOW) -> list[tuple[Any, ...]]:
        return relations(self.messages, REFERENCE, now)[name]

    def firsts(self) -> dict[str, str]:
        return {row[0]: row[1] for row in self.relation("purchase_first_clicks")}


def text(time: datetime) -> str:
    return time.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def test_every_relation_has_the_columns_of_the_contract() -> None:
    log = Log()
    log.click("c")
    log.purchase("o")
    log.fail("f")
    log.send("clicks", b"x", b"x")
    found = relations(log.messages, REFERENCE, NOW)
    assert found.keys() == COLUMNS.keys()
    for name, rows in found.items():
        assert rows
        assert {len(row) for row in rows} == {len(COLUMNS[name])}


def test_a_message_sent_twice_is_one_event() -> None:
    log = Log()
    log.click("c")
    log.click("c")
    assert len(log.relation("stg_clicks")) == 1


def test_a_message_of_the_same_key_replaces_the_earlier_one_by_offset() -> None:
    log = Log()
    log.click("c", source="Google")
    log.click("c", source="Gmail")
    log.messages.reverse()
    assert [row[3] for row in log.relation("stg_clicks")] == ["Gmail"]


def the_one(log: Log) -> tuple[str, int]:
    """Return payload and partition of the newest message, whatever the order."""
    (row,) = log.relation("rejected_events")
    log.messages.reverse()
    assert log.relation("rejected_events") == [row]
    return row[2], row[4]


def test_between_partitions_the_message_that_kafka_stamped_later_is_newer() -> None:
    log = Log()
    log.send("clicks", b"c", b"later", partition=0, stamp=NOW + MS)
    log.send("clicks", b"c", b"earlier", partition=1, stamp=NOW)
    assert the_one(log) == ("later", 0)


def test_a_tombstone_that_kafka_stamped_later_deletes_in_another_partition() -> None:
    log = Log()
    log.send("clicks", b"c", None, partition=0, stamp=NOW + MS)
    log.send("clicks", b"c", b"earlier", partition=1, stamp=NOW)
    assert log.relation("rejected_events") == []


def test_on_equal_stamps_the_message_of_the_higher_partition_is_newer() -> None:
    log = Log()
    for number in (9, 10, 2):
        log.send("clicks", b"c", b"%d" % number, partition=number)
    assert the_one(log) == ("10", 10)


def test_within_a_partition_the_offset_counts_and_not_the_stamp() -> None:
    log = Log()
    log.send("clicks", b"c", b"first", partition=1, stamp=NOW + HOUR)
    log.send("clicks", b"c", b"second", partition=1, stamp=NOW)
    assert the_one(log) == ("second", 1)
    log.send("clicks", b"c", b"between", partition=0, stamp=NOW + MS)
    assert the_one(log) == ("between", 0)


def test_all_messages_of_a_topic_created_again_are_newer() -> None:
    log = Log()
    log.send("clicks", b"c", b"new", partition=0, stamp=NOW, log=1)
    log.send("clicks", b"c", b"old", partition=-1, stamp=NOW + HOUR)
    log.send("clicks", b"d", None, partition=0, stamp=NOW, log=1)
    log.send("clicks", b"d", b"old", partition=-2, stamp=NOW + HOUR)
    assert the_one(log) == ("new", 0)


def test_of_an_earlier_log_partitions_below_zero_count_downwards() -> None:
    log = Log()
    log.send("clicks", b"c", b"lower", partition=-3)
    log.send("clicks", b"c", b"higher", partition=-4)
    assert the_one(log) == ("higher", -4)


def test_the_newest_kafka_time_is_of_the_topic_that_has_the_name_now() -> None:
    log = Log()
    log.send("clicks", b"c", b"old", partition=-1, stamp=NOW + HOUR)
    log.send("clicks", b"c", b"new", stamp=NOW, log=1)
    health = {row[0]: row[4] for row in log.relation("pipeline_health")}
    assert health == {"clicks": NOW, "purchases": None}


def test_a_tombstone_deletes_the_event_and_a_later_message_brings_it_back() -> None:
    log = Log()
    log.send("clicks", b"c", None)
    log.click("c")
    log.send("clicks", b"c", None)
    assert log.relation("stg_clicks") == []
    log.click("c")
    assert len(log.relation("stg_clicks")) == 1


def test_keys_of_the_two_topics_are_not_the_same() -> None:
    log = Log()
    log.click("x")
    log.purchase("x")
    log.send("clicks", b"x", None)
    assert len(log.relation("stg_purchases")) == 1


def test_a_rejection_goes_when_the_key_is_sent_well_formed_and_comes_when_not() -> None:
    log = Log()
    log.send("clicks", b"c", b"x")
    assert len(log.relation("rejected_events")) == 1
    log.click("c")
    assert log.relation("rejected_events") == []
    log.send("clicks", b"c", b"x")
    assert log.relation("stg_clicks") == []
    log.send("clicks", b"c", None)
    assert log.relation("rejected_events") == []


def test_each_message_without_a_key_is_a_rejected_row_but_for_a_tombstone() -> None:
    log = Log()
    log.send("clicks", None, b"x")
    log.send("clicks", None, b"x")
    log.send("clicks", None, None)
    found = log.relation("rejected_events")
    assert [row[:4] for row in found] == [("clicks", None, "x", "no key")] * 2


def test_the_window_holds_both_its_ends_and_nothing_beyond() -> None:
    for at, within in [
        (NOW - WINDOW - MS, False),
        (NOW - WINDOW, True),
        (NOW, True),
        (NOW + MS, False),
    ]:
        log = Log()
        log.click("c", at)
        log.purchase("o")
        assert log.firsts() == ({"o": "c"} if within else {})


def test_the_windows_length_is_a_variable() -> None:
    log = Log()
    log.click("c", NOW - HOUR)
    log.purchase("o")
    found = relations(log.messages, REFERENCE, NOW, window=HOUR)
    assert len(found["purchase_first_clicks"]) == 1


def test_a_purchase_is_attributed_to_the_earliest_click_of_the_same_user() -> None:
    log = Log()
    log.purchase("o")
    log.click("late", NOW - MS)
    log.click("early", NOW - 2 * MS)
    log.click("another's", NOW - 3 * MS, user_id="v")
    assert log.firsts() == {"o": "early"}


def test_of_two_clicks_of_one_time_the_least_id_counts() -> None:
    log = Log()
    log.purchase("o")
    for name in ("b", "a", "é", "10", "9"):
        log.click(name)
    assert log.firsts() == {"o": "10"}
    log.click("Z")
    log.send("clicks", b"10", None)
    log.send("clicks", b"9", None)
    assert log.firsts() == {"o": "Z"}


def test_a_rejected_click_is_no_candidate() -> None:
    log = Log()
    log.purchase("o")
    log.click("c", ip="")
    assert log.firsts() == {}


def test_a_checkout_is_priced_anew_from_the_reference_data() -> None:
    log = Log()
    log.click("c", NOW - MS, source="Gmail", click_at="Homepage")
    log.purchase("o")
    assert log.relation("checkouts") == [
        (
            *("o", "u", "p", "c", "Name of p", "Things", "Brand", "Female", "Visa"),
            *("success", None, "Homepage", "Gmail", 2, Decimal("45.481")),
            *(Decimal("4.747625"), NOW, NOW - MS),
        )
    ]


def test_a_purchase_without_a_candidate_has_null_click_columns() -> None:
    log = Log()
    log.fail("o")
    [row] = log.relation("checkouts")
    checkout = dict(zip(COLUMNS["checkouts"], row, strict=True))
    assert checkout["failure_reason"] == "No funds"
    clicked = ("click_id", "click_at", "source", "click_time")
    assert {checkout[name] for name in clicked} == {None}


def test_nothing_is_rounded() -> None:
    log = Log()
    log.purchase("o", quantity=999_999, discount=0.999999, shipping_cost=0.000001)
    price, rate = Decimal("123456789.123456789123456789"), Decimal("0.123456789123457")
    product = {**REFERENCE.products["p"], "price": price, "commission_rate": rate}
    reference = Reference(REFERENCE.users, {"p": product})
    [row] = relations(log.messages, reference, NOW)["checkouts"]
    cost = Fraction(price) * 999_999 * Fraction(1, 1_000_000)
    assert Fraction(row[14]) == cost + Fraction(1, 1_000_000)
    assert Fraction(row[15]) == cost * Fraction(rate)


def test_a_purchase_of_an_unknown_user_is_no_checkout_until_it_is_known() -> None:
    log = Log()
    log.purchase("o", user_id="w")
    assert log.relation("checkouts") == []
    users = {**REFERENCE.users, "w": {"user_id": "w", "gender": "Other"}}
    reference = Reference(users, REFERENCE.products)
    found = relations(log.messages, reference, NOW)
    assert len(found["checkouts"]) == 1
    assert found["rejected_events"] == []


def test_the_topic_has_decimals_as_strings_and_times_in_the_form_of_the_events() -> (
    None
):
    log = Log()
    log.purchase("o", shipping_cost=0, product_id="q", quantity=100, discount=0)
    log.click("c", NOW)
    [(key, value)] = checkout_messages(log.relation("checkouts")).items()
    assert key == "o"
    assert tuple(value) == COLUMNS["checkouts"]
    assert value["total_cost"] == "100"
    assert value["profit"] == "12.5"
    assert value["purchase_time"] == "2026-11-23T18:04:05.123Z"
    assert value["click_time"] == "2026-11-23T18:04:05.123Z"
    assert value["failure_reason"] is None
    assert json.loads(json.dumps(value)) == value


def test_a_checkout_counts_from_its_time_on_and_for_less_than_an_hour() -> None:
    log = Log()
    log.purchase("o")
    log.fail("f")
    for now, counts in [
        (NOW - MS, False),
        (NOW, True),
        (NOW + HOUR - timedelta(microseconds=1), True),
        (NOW + HOUR, False),
    ]:
        assert log.relation("last_hour_revenue", now)[0][0] == int(counts)
        for name in ("categories", "payment_failures", "genders"):
            assert len(log.relation(f"last_hour_{name}", now)) == int(counts)


def test_revenue_is_always_exactly_one_row() -> None:
    assert Log().relation("last_hour_revenue") == [(0, 0, 0, 0, 0, 0, 0)]
    assert Log().relation("minute_revenue") == []


def test_what_each_insight_counts() -> None:
    log = Log()
    log.click("c", user_id="u", source="Gmail")
    log.click("d", user_id="v", source="Unknown")
    log.purchase("1")
    log.purchase("2", user_id="v", product_id="q", discount=0, shipping_cost=0)
    log.purchase("3", at=NOW - 2 * WINDOW, product_id="q", discount=0)
    log.fail("4")
    log.fail("5", user_id="v", description="none")
    found = relations(log.messages, REFERENCE, NOW)
    for insight in ("sources", "categories", "payment_failures", "genders"):
        found[f"last_hour_{insight}"].sort()
    cost, profit = Decimal("45.481"), Decimal("4.747625")
    assert found["last_hour_sources"] == [
        ("Gmail", True, 1, cost, profit),
        ("Unknown", False, 1, Decimal(2), Decimal("0.25")),
    ]
    assert found["last_hour_revenue"] == [
        (
            *(3, 6, cost + 2 + Decimal("9.5"), profit + Decimal("0.5")),
            *(2, cost + 2, profit + Decimal("0.25")),
        )
    ]
    assert found["last_hour_categories"] == [
        ("Others", 2, 4, Decimal("11.5")),
        ("Things", 1, 2, cost),
    ]
    assert found["last_hour_payment_failures"] == [("No funds", 1), ("none", 1)]
    assert found["last_hour_genders"] == [("Female", 2), ("Male", 1)]


def test_a_minute_is_named_by_its_start_and_holds_its_events_only() -> None:
    minute = NOW.replace(second=0, microsecond=0)
    log = Log()
    for name, at in [
        ("before", minute - MS),
        ("first", minute),
        ("last", minute + timedelta(minutes=1) - MS),
        ("after", minute + timedelta(minutes=1)),
        ("old", minute - timedelta(days=2)),
    ]:
        log.purchase(name, at)
    assert sorted(log.relation("minute_genders")) == [
        (minute - timedelta(days=2), "Female", 1),
        (minute - timedelta(minutes=1), "Female", 1),
        (minute, "Female", 2),
        (minute + timedelta(minutes=1), "Female", 1),
    ]


def test_the_earliest_click_of_each_user_who_is_inside_a_window_now() -> None:
    log = Log()
    log.click("too old", NOW - WINDOW - MS)
    log.click("just so", NOW - WINDOW, source="Gmail")
    log.click("later", NOW)
    log.click("another's", NOW, user_id="v")
    log.click("not yet", NOW + MS, user_id="w")
    assert sorted(log.relation("earliest_clicks")) == [
        ("u", "just so", "Gmail", NOW - WINDOW),
        ("v", "another's", "Google", NOW),
    ]


def test_health_counts_what_is_held_and_names_the_newest() -> None:
    log = Log()
    log.click("c", NOW - MS)
    log.click("d", NOW)
    log.click("d", NOW - 2 * MS)
    log.send("clicks", b"e", b"x")
    log.send("clicks", b"f", b"x")
    log.send("clicks", b"f", None)
    assert sorted(log.relation("pipeline_health")) == [
        ("clicks", 2, 1, NOW - MS, NOW + HOUR),
        ("purchases", 0, 0, None, None),
    ]

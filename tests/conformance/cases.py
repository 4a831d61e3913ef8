"""The named logs: what is sent, and when it is compared."""

import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random

from comparison import Difference, compare
from conformance.hostile import MINUTE, Statement, hostile, product, user
from events import Send, after, click, deletion, failed, purchase
from firstclick import oracle
from firstclick.verify.findings import Row
from firstclick.workers.expire import expire_once
from firstclick_generator import generate
from harness import EVENTS, Harness, Snapshot, time_dependent

ORDERS = 2
"""In which the shuffled log is sent; each in so many PARTS, settled one by one."""
PARTS = 8

SHOP_RATE = 8.0
"""Events per second, for an hour."""

SPAN = 3_000
"""Milliseconds, in each of which a purchase enters the last hour and one leaves it."""
FEWEST_MOMENTS = 5
LONGEST_LEAD = 60_000


RETENTION = timedelta(hours=48)
EXPIRING = 15
"""Purchases, by threes at the ends of as many minutes as the case may take."""

RETAINED = {
    "stg_clicks": "click_time",
    "stg_purchases": "purchase_time",
    "checkouts": "purchase_time",
    **{relation: "minute" for relation in oracle.COLUMNS if relation[:7] == "minute_"},
}
"""What expires by which of its columns."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How the relations differed from what was expected, after a step of a case."""

    step: str
    differences: list[Difference] = field(default_factory=list)


Case = Callable[[Harness, int], Iterator[Outcome]]
"""Feeds a settled pipeline, with a seed for what is random."""


def hostile_log(pipeline: Harness, seed: int) -> Iterator[Outcome]:
    """Everything that could make an engine lose count."""
    for step in hostile(pipeline.engine):
        apply(pipeline, step.statements)
        pipeline.publish(step.sends)
        pipeline.settle()
        yield Outcome(step.name, pipeline.differences())


def shuffled(pipeline: Harness, seed: int) -> Iterator[Outcome]:
    """The hostile log in many orders of arrival ends in the same relations."""
    log: list[Send] = []
    for step in hostile(pipeline.engine):
        if step.in_any_order:
            apply(pipeline, step.statements)
            log += [message for message in step.sends if message.key is not None]
    nothing = list({(m.topic, m.key): deletion(m) for m in log}.values())
    pipeline.publish(nothing)
    pipeline.settle()
    yield Outcome("nothing", pipeline.differences())
    first: dict[str, list[Row]] | None = None
    for number in range(ORDERS):
        messages = in_another_order(log, Random(f"{seed} {number}"))
        size = -(-len(messages) // PARTS)
        for begin in range(0, len(messages), size):
            pipeline.publish(messages[begin : begin + size])
            pipeline.settle()
        yield Outcome(f"order {number}", pipeline.differences())
        held = without_kafka(pipeline.snapshot().rows)
        first = first or held
        lasting = {
            name: rows for name, rows in first.items() if not time_dependent(name)
        }
        yield Outcome(
            f"order {number} against order 0",
            compare(lasting, held, COLUMNS_WITHOUT_KAFKA),
        )
        pipeline.publish(nothing)
        pipeline.settle()
        yield Outcome(f"order {number} deleted", pipeline.differences())


def shop(pipeline: Harness, seed: int) -> Iterator[Outcome]:
    """An hour of the generator, a twentieth of it anomalies."""
    generate(
        pipeline.stack.bootstrap_servers,
        topic_prefix=pipeline.stack.topic_prefix,
        producer_config=pipeline.stack.kafka.client(),
        rate=SHOP_RATE,
        duration=0,
        seed=seed,
        anomaly_rate=0.05,
        backfill_hours=1,
    )
    pipeline.settle()
    yield Outcome("an hour of the shop", pipeline.differences())


def hour(pipeline: Harness, seed: int) -> Iterator[Outcome]:
    """A purchase enters and leaves the last hour at the exact millisecond.

    So does a click the attribution window of `earliest_clicks`.
    """
    apply(pipeline, product("hour 0", "Plain", "Things", "19.99", "0.125"))
    apply(pipeline, product("hour 1", "Other", "Others", "0.01", "0.5"))
    for number, gender in enumerate(("Female", "Male", "Other")):
        apply(pipeline, user(f"hour {number}", gender))
    lead = 4_000
    while True:
        begin = after(datetime.now(UTC), lead)
        begin = begin.replace(microsecond=begin.microsecond // 1000 * 1000)
        end = after(begin, SPAN)
        pipeline.publish(at_the_edges(begin))
        pipeline.settle()
        moments = moments_between(pipeline, begin, end)
        yield Outcome("before and after", pipeline.differences())
        if len(moments) >= FEWEST_MOMENTS:
            break
        if lead > LONGEST_LEAD:
            raise TimeoutError(
                f"{len(moments)} moments of the {SPAN} ms from {lead} ms after they "
                f"were sent could be read, expected {FEWEST_MOMENTS}: see what the "
                "machine is busy with"
            )
        # Slow: the span was over before all was settled
        lead *= 2
    state = oracle.relations(pipeline.messages(), pipeline.reference(), begin)
    for moment in moments:
        yield Outcome(
            f"at {moment.now.isoformat()}",
            pipeline.time_dependent_differences(
                state["stg_clicks"], state["checkouts"], moment
            ),
        )


def expiry(pipeline: Harness, seed: int) -> Iterator[Outcome]:
    """What is too old to be kept goes to the millisecond, and nothing else changes.

    Purchases are kept for 48 hours by the whole minute, clicks ten minutes longer.
    """
    for number in range(EXPIRING):
        apply(pipeline, user(f"expiry {number}", ("Female", "Male")[number % 2]))
    apply(pipeline, product("expiry", "Plain", "Things", "19.99", "0.125"))
    pipeline.publish(at_the_end_of_retention(datetime.now(UTC)))
    pipeline.settle()
    yield Outcome("before it expires", pipeline.differences())
    before = pipeline.snapshot(RETAINED)
    expire_once(replace(pipeline.stack, target=pipeline.engine.name))
    pipeline.settle()
    yield Outcome("expired", pipeline.differences())
    after_it = pipeline.snapshot(RETAINED)
    # Which minute it was when it was asked what had expired, nobody says
    since = retained_since(before.now)
    while compare(retained(before.rows, since), after_it.rows, oracle.COLUMNS):
        if since >= retained_since(after_it.now):
            break
        since = after(since, MINUTE)
    yield Outcome(
        f"what is from before {since.isoformat()} gone, all else as it was",
        compare(retained(before.rows, since), after_it.rows, oracle.COLUMNS),
    )
    kept = {
        (topic, row[0].encode())
        for topic in EVENTS
        for row in after_it.rows[f"stg_{topic}"]
        if row[0].startswith("expiry")
    }
    held = {
        (topic, key)
        for topic in EVENTS
        for key in pipeline.keys_of(topic)
        if key.startswith(b"expiry")
    }
    yield Outcome(
        "the messages of what expired gone",
        compare({"raw": kept}, {"raw": held}, {"raw": ("topic", "key")}),
    )


CASES: dict[str, Case] = {
    "hostile": hostile_log,
    "shuffled": shuffled,
    "shop": shop,
    "hour": hour,
    "expiry": expiry,
}


def apply(pipeline: Harness, statements: list[Statement]) -> None:
    for statement, parameters in statements:
        pipeline.execute(statement, parameters)


def in_another_order(log: list[Send], random: Random) -> list[Send]:
    """The same messages; those of one key stay in their order."""
    of_key: dict[tuple[str, bytes | None], list[Send]] = defaultdict(list)
    for message in log:
        of_key[message.topic, message.key].append(message)
    keys = [(message.topic, message.key) for message in log]
    random.shuffle(keys)
    left = {key: iter(messages) for key, messages in of_key.items()}
    return [next(left[key]) for key in keys]


COLUMNS_WITHOUT_KAFKA = {
    relation: tuple(column for column in columns if "kafka" not in column)
    for relation, columns in oracle.COLUMNS.items()
}


def without_kafka(relations: dict[str, list[Row]]) -> dict[str, list[Row]]:
    """The rows without the columns that say when and where a message came."""
    kept = {
        name: [n for n, column in enumerate(columns) if "kafka" not in column]
        for name, columns in oracle.COLUMNS.items()
    }
    return {
        name: [tuple(row[n] for n in kept[name] if n < len(row)) for row in rows]
        for name, rows in relations.items()
    }


def at_the_edges(begin: datetime) -> list[Send]:
    """Purchases and clicks that come and go, one each, in each millisecond."""
    messages = []
    # Each user's click of a minute before, so that sources change as well
    for number in range(3):
        for name, at in (("in", begin), ("out", after(begin, -60 * MINUTE))):
            messages.append(
                click(
                    f"hour {name} {number}",
                    f"hour {number}",
                    after(at, -MINUTE),
                    source=("Google", "Unknown", "Gmail")[number],
                )
            )
    for n in range(SPAN):
        bought = failed if n % 5 == 0 else purchase
        went = failed if n % 5 == 1 else purchase
        # Of another group each, so that two errors can't make up for one another
        here = f"hour {n % 3}", f"hour {n % 2}"
        there = f"hour {(n + 1) % 3}", f"hour {(n + 1) % 2}"
        messages += [
            bought(f"hour in {n}", *here, after(begin, n)),
            went(f"hour out {n}", *there, after(begin, n - 60 * MINUTE)),
            click(f"clicked {n}", f"clicked {n}", after(begin, n)),
            click(f"gone {n}", f"gone {n}", after(begin, n - 10 * MINUTE)),
        ]
    return messages


def at_the_end_of_retention(now: datetime) -> list[Send]:
    """Purchases around the ends of the minutes that may be the oldest, and clicks
    around the ends of their windows.
    """
    messages = [
        click("expiry old", "expiry 0", now - timedelta(days=30)),
        purchase("expiry old", "expiry 0", "expiry", now - timedelta(days=30)),
        purchase("expiry unknown", "nobody", "expiry", now - timedelta(days=30)),
    ]
    edges = [
        after(retained_since(now), minutes * MINUTE + offset)
        for minutes in range(EXPIRING // 3)
        for offset in (-1, 0, 1)
    ]
    for number, edge in enumerate(edges):
        bought = failed if number % 5 == 4 else purchase
        messages.append(bought(f"expiry {number}", f"expiry {number}", "expiry", edge))
        messages += [
            click(
                f"expiry {number} {offset}",
                f"expiry {number}",
                after(edge, offset - 10 * MINUTE),
                source=f"Source {offset}",
            )
            for offset in (-1, 0, 1)
        ]
    return messages


def retained_since(now: datetime) -> datetime:
    """The time from which on purchases are kept."""
    return (now - RETENTION).replace(second=0, microsecond=0)


def retained(rows: dict[str, list[Row]], since: datetime) -> dict[str, list[Row]]:
    """The rows of RETAINED that are kept."""
    kept = {}
    for relation, column in RETAINED.items():
        limit = after(since, -10 * MINUTE) if relation == "stg_clicks" else since
        at = oracle.COLUMNS[relation].index(column)
        kept[relation] = [row for row in rows[relation] if row[at] >= limit]
    return kept


def moments_between(
    pipeline: Harness, begin: datetime, end: datetime
) -> list[Snapshot]:
    """What depends on the moment, at as many as can be read from begin to end.

    Every other one is a whole millisecond, at which an event has its very time.
    """
    relations = [name for name in oracle.COLUMNS if time_dependent(name)]
    deadline = time.monotonic() + pipeline.patience
    moments: list[Snapshot] = []
    while time.monotonic() < deadline:
        moment = pipeline.snapshot(relations, whole_millisecond=len(moments) % 2 == 1)
        if moment.now > end + timedelta(milliseconds=1):
            break
        if moment.now >= begin:
            moments.append(moment)
    return moments

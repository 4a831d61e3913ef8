"""The log `hostile`: everything that could make an engine lose count.

Each step is sent once the one before has settled, so that what an engine maintains is
changed again and again, and not only filled.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from string import hexdigits
from typing import Any, LiteralString

from conformance.malformed import malformed
from events import Send, after, click, deletion, failed, purchase
from firstclick.core.engines import Engine
from firstclick.workers.connector.batch import LONGEST_INDEXED_KEY

MINUTE = 60_000
WINDOW = 10 * MINUTE
"""Milliseconds, as all offsets here."""

Statement = tuple[LiteralString, tuple[Any, ...]]


@dataclass(frozen=True, slots=True)
class Step:
    """What is done at once, and then compared."""

    name: str
    sends: list[Send] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    in_any_order: bool = True
    """Whether its messages may come at any time, and end in the same relations."""


def hostile(engine: Engine) -> Iterator[Step]:
    """Yield the log's steps; most purchases are half an hour old.

    The last are made when they are asked for: their times are about that moment.
    """
    then = after(_now(), -30 * MINUTE)
    everything: list[Send] = []
    for step in (
        Step("reference data", statements=_reference_data()),
        *_malformed(then, engine),
        *_deleted(then),
        *_window(then),
        *_ties(then),
        *_corrected(then),
        *_minutes(then),
        *_texts(then),
        *_known_and_unknown(then),
        *_old(then),
        *_many_clicks(then),
    ):
        everything += step.sends
        yield step
    yield Step("all of it again", everything, in_any_order=False)
    yield _future(_now())


def _now() -> datetime:
    """The present, to the whole millisecond below."""
    now = datetime.now(UTC)
    return now.replace(microsecond=now.microsecond // 1000 * 1000)


def user(user_id: str, gender: str) -> list[Statement]:
    """Statements after which there is this user, whatever was there before."""
    insert: LiteralString = (
        "insert into {sources}.users (user_id, gender) values (%s, %s)"
    )
    return [*no_user(user_id), (insert, (user_id, gender))]


def no_user(user_id: str) -> list[Statement]:
    return [("delete from {sources}.users where user_id = %s", (user_id,))]


def product(
    product_id: str, name: str, category: str, price: str, commission_rate: str
) -> list[Statement]:
    """Statements after which there is this product, whatever was there before."""
    insert: LiteralString = (
        "insert into {sources}.products"
        " (product_id, product_name, category, price, commission_rate)"
        " values (%s, %s, %s, %s::numeric, %s::numeric)"
    )
    row = (product_id, name, category, price, commission_rate)
    return [*no_product(product_id), (insert, row)]


def no_product(product_id: str) -> list[Statement]:
    return [("delete from {sources}.products where product_id = %s", (product_id,))]


def _reference_data() -> list[Statement]:
    genders = ("Female", "Male", "Other")
    return [
        *(s for n in range(24) for s in user(f"hostile {n}", genders[n % 3])),
        *product("hostile 0", "Plain", "Things", "19.99", "0.125"),
        *product("hostile 1", "Free", "Things", "0", "0.5"),
        *product("hostile 2", "Unpaid", "Others", "1234.56", "0"),
        *product("hostile 3", "Fine", "Others", "0.01", "0.001"),
        *product("hostile 4", 'D\'Ärtagnan \\ "7"', "Bücher; --", "99999.99", "1"),
    ]


def _malformed(then: datetime, engine: Engine) -> Iterator[Step]:
    sends = malformed(
        then,
        implementation_defined=not engine.differs_where_it_may,
        keyless=engine.takes_keyless,
    )
    yield Step("all that can be wrong with a message", sends)
    keys = {(m.topic, m.key): m for m in sends if m.key and m.key.startswith(b"malf")}
    right = [
        click(m.key.decode(), "hostile 1", then)
        if m.topic == "clicks"
        else purchase(m.key.decode(), "hostile 1", "hostile 3", then)
        for m in keys.values()
        if m.key is not None
    ]
    yield Step("put right", right[::2])
    yield Step("spoilt again, the others put right", [*sends[::4], *right[1::2]])
    yield Step("deleted", [deletion(message) for message in keys.values()][::3])


def _deleted(then: datetime) -> Iterator[Step]:
    one = click("deleted 1", "hostile 2", after(then, -5))
    other = click("deleted 2", "hostile 2", after(then, -4))
    bought = purchase("deleted", "hostile 2", "hostile 0", then)
    yield Step("deleted before it comes", [deletion(one), deletion(bought)])
    yield Step("there, then deleted in one go", [one, deletion(one), bought])
    yield Step("there twice", [one, other, bought, one])
    yield Step("the first click deleted", [deletion(one)])
    yield Step("deleted twice, the other first", [deletion(other), deletion(one)])
    yield Step("the purchase deleted and there again", [deletion(bought), bought, one])
    yield Step("a bad one instead", [bought._replace(value=b"{}"), one])
    yield Step("that deleted", [deletion(bought)])
    yield Step("and there again", [bought])


def _window(then: datetime) -> Iterator[Step]:
    """Clicks around both ends of the window, to the millisecond."""
    ends = [-WINDOW - 1, -WINDOW, -WINDOW + 1, -1, 0, 1]
    alone = [
        message
        for number, offset in enumerate(ends)
        for message in (
            click(f"window alone {offset}", f"window {number}", after(then, offset)),
            purchase(f"window {number}", f"window {number}", "hostile 0", then),
        )
    ]
    together = [
        click(f"window together {offset}", "hostile 3", after(then, offset))
        for offset in ends
    ]
    bought = purchase("window", "hostile 3", "hostile 0", then)
    yield Step(
        "ends of the window",
        [*alone, bought, *reversed(together)],
        [s for number in range(len(ends)) for s in user(f"window {number}", "Other")],
    )
    for offset, message in zip(ends, together, strict=True):
        yield Step(f"without the click at {offset} ms", [deletion(message)])
    yield Step("with all of them again", together)
    for milliseconds in (-1, 1, WINDOW, WINDOW + 1, -WINDOW, 2 * WINDOW + 1):
        moved = purchase("window", "hostile 3", "hostile 0", after(then, milliseconds))
        yield Step(f"the purchase moved by {milliseconds} ms", [moved])


def _ties(then: datetime) -> Iterator[Step]:
    """Clicks of one millisecond: the least id counts, by code points."""
    ids = [
        *("tie b", "tie B", "tie a", "tie A", "tie é", "tie e\u0301", "tie z", "tie 9"),
        *("tie 10", "tie", "tie ", "tie-", "tie_", "tie \uffff", "tie \U0001f600"),
        *("tie ß", "tie ss", "tie İ", "tie i", "tie 1", "tie 01", "Tie a", "tie \x7f"),
    ]
    clicks = [
        click(name, "hostile 4", after(then, -7), source=f"Source {number % 5}")
        for number, name in enumerate(ids)
    ]
    bought = [
        purchase(f"tie {n}", "hostile 4", "hostile 0", after(then, n)) for n in range(3)
    ]
    yield Step("ties", [*clicks, *bought])
    for name, message in sorted(zip(ids, clicks, strict=True))[::2]:
        yield Step(f"without the least, {name!r}", [deletion(message)])
    yield Step("ties, the others first", [*clicks[::-1], bought[0]])


def _corrected(then: datetime) -> Iterator[Step]:
    """Corrections that move an event between users, hours and groups."""
    clicked = [
        click("corrected 1", "hostile 5", after(then, -60), source="Facebook"),
        click("corrected 2", "hostile 6", after(then, -50), source="Unknown"),
        click("corrected 3", "hostile 6", after(then, -40), source="Tiktok"),
    ]

    def bought(user: str = "hostile 5", product: str = "0", **fields: Any) -> Send:
        time = after(then, fields.pop("by", 0))
        return purchase("corrected", user, f"hostile {product}", time, **fields)

    yield Step("before it is corrected", [*clicked, bought()])
    changes: dict[str, list[Send]] = {
        "to another user": [bought("hostile 6")],
        "to another product": [bought("hostile 6", "4")],
        "to another minute": [bought("hostile 6", by=MINUTE)],
        "out of the hour": [bought("hostile 6", by=-3 * 60 * MINUTE)],
        "into it again": [bought("hostile 6")],
        "to a failure": [failed("corrected", "hostile 6", "hostile 0", then)],
        "to another failure": [
            bought(payment_status="failure", description="none"),
        ],
        "to a success": [bought(description="Insufficient funds")],
        "to much": [bought(quantity=1_000_000, discount=0.000001)],
        "to little": [bought(quantity=1, discount=0.999999, shipping_cost=0)],
        "to a stranger": [bought("nobody")],
        "to an unknown product": [bought(product="nothing")],
        "back, by two steps": [bought("hostile 6"), bought()],
        "the click to another user": [
            click("corrected 1", "hostile 6", after(then, -60), source="Facebook")
        ],
        "the click to a later time": [
            click("corrected 1", "hostile 5", after(then, 1), source="Facebook")
        ],
        "the click to another source": [
            click("corrected 1", "hostile 5", after(then, -60), source="Unknown")
        ],
        "the click to another page": [
            click("corrected 1", "hostile 5", after(then, -60), click_at="Homepage")
        ],
        "both users' clicks exchanged": [
            click("corrected 1", "hostile 6", after(then, -60)),
            click("corrected 2", "hostile 5", after(then, -50)),
        ],
        "clicks and purchase at once": [
            click("corrected 3", "hostile 5", after(then, -70)),
            bought("hostile 5", by=2 * MINUTE),
            deletion(clicked[0]),
        ],
    }
    for name, sends in changes.items():
        yield Step(f"corrected {name}", sends)


def _many_clicks(then: datetime) -> Iterator[Step]:
    """A user with thousands of clicks, and purchases all along them."""
    clicks = [
        click(f"many {n}", "hostile 7", after(then, 500 * n), source=f"Source {n % 7}")
        for n in range(3_000)
    ]
    purchases = [
        purchase(f"many {n}", "hostile 7", f"hostile {n % 5}", after(then, 30_000 * n))
        for n in range(-1, 60)
    ]
    yield Step("thousands of clicks", [*purchases, *clicks])
    yield Step("the earliest thousand deleted", [deletion(m) for m in clicks[:1_000]])
    yield Step("every other one deleted", [deletion(m) for m in clicks[1_000::2]])
    yield Step("the purchases deleted", [deletion(m) for m in purchases[::2]])
    yield Step("all of them again", [*clicks[::-1], *purchases])


def _minutes(then: datetime) -> Iterator[Step]:
    """Checkouts at the ends of minutes, in every group."""
    minute = then.replace(second=0, microsecond=0)
    offsets = [-1, 0, 1, MINUTE - 1, MINUTE, MINUTE + 1]
    sends = []
    for number, offset in enumerate(offsets):
        at = after(minute, offset)
        for user in range(8, 11):
            name = f"minute {number} {user}"
            sends += [
                click(name, f"hostile {user}", after(at, -3), source=f"S{number % 2}"),
                purchase(name, f"hostile {user}", f"hostile {number % 5}", at),
                failed(f"{name} failed", f"hostile {user}", f"hostile {user % 5}", at),
            ]
    yield Step("ends of minutes", sends)
    yield Step(
        "groups that end", [deletion(m) for m in sends if m.topic == "purchases"]
    )
    yield Step("and begin again", sends)


def _texts(then: datetime) -> Iterator[Step]:
    """Texts that only look like something else."""
    texts = [
        *(" ", "null", "NULL", "'; drop schema firstclick; --", "%s", "{}", "\\", '"'),
        *(
            "\\u0000",
            "\x01",
            "\x7f",
            "\u0080",
            "\n",
            "\t",
            "\u2028",
            "\ufeff",
            "\u202e",
        ),
        *("é", "e\u0301", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "ﷺ", "\uffff"),
        *(
            "$1",
            ":name",
            "0",
            "true",
            "NaN",
            "a" * 255,
            "a" * 256,
            "a" * 257,
            "é" * 400,
        ),
    ]
    sends = []
    for text in texts:
        sends += [
            click(text, f"of {text}", then, source=text, click_at=text, ip=text),
            purchase(text, f"of {text}", text, then, payment_method=text),
            purchase(
                f"failed {text}",
                *(f"of {text}", text, then),
                payment_status="failure",
                description=text,
            ),
        ]
    statements: list[Statement] = []
    for text in texts:
        statements += user(f"of {text}", text)
        statements += product(text, text, text, "1.10", "0.10")
    yield Step("texts", sends, statements)
    long = [
        click("long", "hostile 11", then, source="ü" * 100_000, ip="x" * 300_000),
        purchase("long", "hostile 11", "hostile 0", after(then, 1)),
        purchase("long unknown", "ß" * 100_000, "hostile 0", then),
        *(
            event
            for length in (1_024, 1_025, LONGEST_INDEXED_KEY)
            for name in ["".join(Random(length).choices(hexdigits, k=length))]
            for event in (
                click(name, name, then),
                purchase(name, name, "hostile 0", after(then, 1)),
                click(f"c{name[1:]}", "hostile 11", then),
                purchase(f"p{name[1:]}", "hostile 11", "hostile 0", then),
            )
        ),
        *(
            click("".join(Random(length).choices(hexdigits, k=length)), "long", then)
            for length in (LONGEST_INDEXED_KEY + 1, 2_705, 100_000)
        ),
    ]
    yield Step("long texts", long)


def _known_and_unknown(then: datetime) -> Iterator[Step]:
    """Reference data that comes late, goes, and changes."""
    sends = [
        click("late user", "late", after(then, -1)),
        purchase("late 1", "late", "late", then),
        purchase("late 2", "hostile 12", "late", then),
        purchase("late 3", "late", "hostile 0", then),
        failed("late 4", "late", "late", then),
    ]
    yield Step("an unknown user and product", sends)
    known = product("late", "Late", "Late things", "2.50", "0.2")
    for name, statements in {
        "the user is known": user("late", "Female"),
        "the product is known": known,
        "the user is unknown again": no_user("late"),
        "the user is known again": user("late", "Male"),
        "the product is unknown again": no_product("late"),
        "the product is known again": known,
    }.items():
        yield Step(name, statements=statements)
    changes: dict[str, Statement] = {
        "a price changes": (
            "update {sources}.products set price = %s::numeric where product_id = %s",
            ("123.4567", "late"),
        ),
        "all prices change": (
            "update {sources}.products set price = price * 1.1 where product_id <> %s",
            ("hostile 4",),
        ),
        "a commission changes": (
            "update {sources}.products set commission_rate = %s::numeric"
            " where product_id like %s",
            ("0.33333333", "hostile %"),
        ),
        "a category is renamed": (
            "update {sources}.products set category = %s where category = %s",
            ("Stuff", "Things"),
        ),
        "two categories become one": (
            "update {sources}.products set category = %s where category = %s",
            ("Stuff", "Others"),
        ),
        "a product is renamed": (
            "update {sources}.products set product_name = %s, brand = %s"
            " where product_id = %s",
            ("Later", "Brand", "late"),
        ),
        "a gender changes": (
            "update {sources}.users set gender = %s where user_id like %s",
            ("Unsaid", "hostile 1%"),
        ),
        "what no relation shows changes": (
            "update {sources}.users set email = %s where user_id like %s",
            ("someone@example.com", "hostile %"),
        ),
    }
    for name, statement in changes.items():
        yield Step(name, statements=[statement])
    yield Step(
        "reference data and events at once",
        [deletion(sends[0]), *sends[1:3]],
        no_user("late"),
    )
    yield Step("all known", sends, user("late", "Female"))


def _old(now: datetime) -> Iterator[Step]:
    """Events of long ago are events."""
    sends = []
    for days in (1, 2, 3, 400, 20_000):
        then = after(now, -days * 24 * 60 * MINUTE)
        sends += [
            click(f"old {days}", "hostile 13", after(then, -WINDOW)),
            purchase(f"old {days}", "hostile 13", "hostile 0", then),
        ]
    yield Step("old", sends)


def _future(now: datetime) -> Step:
    """Times around five minutes after the one that Kafka will have stamped."""
    sends = []
    for offset in (*range(-20, 400), 1_000, 60_000):
        at = after(now, 5 * MINUTE + offset)
        sends += [
            click(f"future {offset}", "hostile 14", at),
            purchase(f"future {offset}", "hostile 14", "hostile 0", at),
        ]
    return Step("in the future", sends, in_any_order=False)

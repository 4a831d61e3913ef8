"""Compare the outcome of a sample of messages with the oracle's."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import timedelta
from decimal import localcontext
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from psycopg import sql

from firstclick import oracle
from firstclick.core.durations import seconds_of
from firstclick.core.engines import Engine
from firstclick.core.project import PROJECT
from firstclick.oracle.relations import EXACT, INSIGHTS, by_minute, checkout, shown
from firstclick.verify.findings import Finding, Row, compare, in_utc
from firstclick.workers.connector.batch import LONGEST_INDEXED_KEY

_MINUTES = 10
"""At most this many minutes are compared, each with all its checkouts."""

_MARGIN = timedelta(minutes=1)
"""How far outside a window clicks are fetched: the oracle decides where the window
ends.
"""

_AT_ONCE = 500
"""How many purchases one query looks up clicks for. It may scan the clicks, if they
have no index by user.
"""

_CANDIDATES = """
select wanted.purchase_id, {columns}
from (values {wanted}) as wanted (purchase_id, user_id, begins, ends)
inner join {clicks} as clicks
    on {same_user} and clicks.click_time between wanted.begins and wanted.ends
"""
_WANTED = "(%s::varchar, %s::varchar, %s::timestamptz, %s::timestamptz)"

# Ordered by a hash, so that a seed selects the same sample of the same messages.
_SAMPLE = """
select event_key, payload, kafka_time, kafka_partition, kafka_offset
from ({messages}) as messages
order by md5(concat({seed}::text, '/', kafka_partition, '/', kafka_offset))
limit {limit}
"""

_ARRAYS: dict[str, LiteralString] = {
    "kafka_offset": "bigint[]",
    "minute": "timestamptz[]",
}
"""The type of an array of this column's values; all other columns are text."""

_REFERENCE = {
    "users": ("user_id", "gender"),
    "products": (
        *("product_id", "product_name", "category", "brand", "price"),
        "commission_rate",
    ),
}


def live_messages(
    engine: Engine, raw: sql.Identifier, project: Path = PROJECT
) -> sql.Composed:
    """Return a query of the messages of a topic that the source ``raw`` holds.

    Its columns are those of ``Engine.messages``.
    """
    return sql.SQL(engine.messages).format(
        raw=raw, retention=sql.Literal(f"{seconds_of('retention', project)} seconds")
    )


class Sample:
    """Takes samples, within a transaction that the caller began.

    Memory holds at most the sampled messages, ``size`` of each topic, together with
    either the candidate clicks of some purchases or the checkouts of one minute.
    """

    def __init__(
        self,
        connection: psycopg.Connection[Any],
        schema: str,
        engine: Engine,
        size: int,
        seed: int,
        project: Path = PROJECT,
    ) -> None:
        self._connection = connection
        self._schema = schema
        self._sources = engine.sources_of(schema)
        self._engine = engine
        self._size = size
        self._seed = seed
        self._project = project

    def findings(self) -> Iterator[Finding]:
        """Compare the rows that the sampled messages should have become with the stored
        ones.
        """
        clicks = self._messages("clicks")
        purchases = self._messages("purchases")
        reference = self._reference(purchases)
        verdicts = [
            (message, oracle.validate(message, reference))
            for message in (*clicks, *purchases)
        ]
        bought = [found for _, found in verdicts if isinstance(found, oracle.Purchase)]
        yield self._compare(
            "stg_clicks",
            [found for _, found in verdicts if isinstance(found, oracle.Click)],
            "click_id",
            _keys(clicks),
        )
        yield self._compare("stg_purchases", bought, "purchase_id", _keys(purchases))
        yield self._rejected(
            [
                _rejected_event(message, found)
                for message, found in verdicts
                if isinstance(found, str)
            ],
            [message for message, _ in verdicts],
        )
        yield from self._attributed(bought, _keys(purchases), reference)
        yield from self._minutes(bought)

    def _rejected(
        self, expected: list[oracle.RejectedEvent], messages: list[oracle.Message]
    ) -> Finding:
        columns = oracle.COLUMNS["rejected_events"]
        sampled = {(m.topic, m.partition, m.offset) for m in messages}
        stored = [
            row
            for row in self._rows(
                "rejected_events", columns, "kafka_offset", [m.offset for m in messages]
            )
            if (row[0], *row[-3:-1]) in sampled
        ]
        wanted = [tuple(getattr(row, name) for name in columns) for row in expected]
        return compare("rejected_events", columns, wanted, stored)

    def _attributed(
        self,
        purchases: list[oracle.Purchase],
        keys: list[str],
        reference: oracle.Reference,
    ) -> Iterator[Finding]:
        window = timedelta(seconds=seconds_of("attribution_window", self._project))
        firsts, checkouts = [], []
        for purchase, candidates in self._candidates(purchases, window):
            click = oracle.first_click(purchase, candidates, window)
            checkouts.append(checkout(purchase, click, reference))
            if click is not None:
                fields = {**purchase._asdict(), **click._asdict()}
                firsts.append(tuple(fields[name] for name in oracle.FirstClick._fields))
        yield self._compare("purchase_first_clicks", firsts, "purchase_id", keys)
        yield self._compare("checkouts", checkouts, "purchase_id", keys)

    def _minutes(self, purchases: list[oracle.Purchase]) -> Iterator[Finding]:
        times = [purchase.purchase_time for purchase in purchases]
        minutes = list({t.replace(second=0, microsecond=0) for t in times})[:_MINUTES]
        expected: dict[str, list[Row]] = {name: [] for name in INSIGHTS}
        for minute in minutes:
            checkouts = [
                oracle.Checkout(*row)
                for row in self._select(
                    "checkouts",
                    oracle.Checkout._fields,
                    "purchase_time >= %s and purchase_time < %s",
                    [minute, minute + timedelta(minutes=1)],
                )
            ]
            for name, insight in INSIGHTS.items():
                with localcontext(EXACT):
                    expected[name] += by_minute(insight, checkouts)
        for name, rows in expected.items():
            yield self._compare(f"minute_{name}", rows, "minute", minutes)

    def _messages(self, topic: str) -> list[oracle.Message]:
        raw = sql.Identifier(self._sources, f"raw_{topic}")
        query = sql.SQL(_SAMPLE).format(
            messages=live_messages(self._engine, raw, self._project),
            seed=sql.Literal(self._seed),
            limit=sql.Literal(self._size),
        )
        messages = [
            oracle.Message(topic, _bytes(key), _bytes(payload), *place)
            for key, payload, *place in map(in_utc, self._connection.execute(query))
        ]
        return [
            message
            for message in messages
            if not oracle.is_implementation_defined(message.value or b"")
            # PostgreSQL can't index so long a key, so it rejects the message
            and (topic != "purchases" or len(message.key or b"") <= LONGEST_INDEXED_KEY)
        ]

    def _reference(self, purchases: list[oracle.Message]) -> oracle.Reference:
        """Return the reference data that the purchases name."""
        documents = [oracle.json_object(m.value or b"") or {} for m in purchases]
        tables = []
        for table, columns in _REFERENCE.items():
            named = [document.get(columns[0]) for document in documents]
            ids = {value for value in named if isinstance(value, str)}
            rows = self._rows(
                table, columns, columns[0], list(ids), schema=self._sources
            )
            tables.append([dict(zip(columns, row, strict=True)) for row in rows])
        return oracle.Reference.of_rows(*tables)

    def _candidates(
        self, purchases: list[oracle.Purchase], window: timedelta
    ) -> Iterator[tuple[oracle.Purchase, list[oracle.Click]]]:
        """Yield each purchase with its user's clicks in and a little around the
        window.
        """
        for at in range(0, len(purchases), _AT_ONCE):
            chunk = purchases[at : at + _AT_ONCE]
            query = sql.SQL(_CANDIDATES).format(
                columns=sql.SQL(", ").join(
                    sql.Identifier("clicks", name) for name in oracle.Click._fields
                ),
                wanted=sql.SQL(", ").join([sql.SQL(_WANTED)] * len(chunk)),
                clicks=sql.Identifier(self._schema, "stg_clicks"),
                same_user=sql.SQL(self._engine.same_user),
            )
            wanted = [
                value
                for purchase in chunk
                for value in (
                    purchase.purchase_id,
                    purchase.user_id,
                    purchase.purchase_time - window - _MARGIN,
                    purchase.purchase_time + _MARGIN,
                )
            ]
            found: dict[str, list[oracle.Click]] = {p.purchase_id: [] for p in chunk}
            for purchase_id, *click in map(
                in_utc, self._connection.execute(query, wanted)
            ):
                found[purchase_id].append(oracle.Click(*click))
            for purchase in chunk:
                yield purchase, found[purchase.purchase_id]

    def _compare(
        self, relation: str, expected: Iterable[Row], column: str, values: list[Any]
    ) -> Finding:
        columns = oracle.COLUMNS[relation]
        stored = self._rows(relation, columns, column, values)
        return compare(relation, columns, expected, stored)

    def _rows(
        self,
        relation: str,
        columns: Sequence[str],
        column: str,
        values: list[Any],
        schema: str = "",
    ) -> list[Row]:
        # The streaming engines can't infer the array's type
        of = _ARRAYS.get(column, "varchar[]")
        condition: LiteralString = "{column} = any(%s::" + of + ")"
        return self._select(relation, columns, condition, [values], column, schema)

    def _select(
        self,
        relation: str,
        columns: Sequence[str],
        condition: LiteralString,
        parameters: list[Any],
        column: str = "",
        schema: str = "",
    ) -> list[Row]:
        query = sql.SQL("select {columns} from {relation} where " + condition).format(
            columns=sql.SQL(", ").join(map(sql.Identifier, columns)),
            relation=sql.Identifier(schema or self._schema, relation),
            column=sql.Identifier(column or columns[0]),
        )
        return list(map(in_utc, self._connection.execute(query, parameters)))


def _keys(messages: list[oracle.Message]) -> list[str]:
    return [shown(message.key) for message in messages if message.key is not None]


def _rejected_event(message: oracle.Message, reason: str) -> oracle.RejectedEvent:
    return oracle.RejectedEvent(
        message.topic,
        None if message.key is None else shown(message.key),
        shown(message.value or b""),
        reason,
        message.partition,
        message.offset,
        message.kafka_time,
    )


def _bytes(data: bytes | str | None) -> bytes | None:
    return data.encode() if isinstance(data, str) else data

"""Whatever happens to a pipeline, in whatever order, it settles to the specification.

Hypothesis draws the steps and shrinks a failing history to a short one. Set
`FIRSTCLICK_TEST_SEED` to repeat a run, and `FIRSTCLICK_TEST_LONG=1` for a long one.
"""

import os
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from confluent_kafka.admin import AdminClient
from histories import (
    ANCHORS,
    PURCHASES,
    Payload,
    anchored,
    changes,
    many_payloads,
    payloads,
    reference_data,
    some_numbers,
)
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    rule,
    run_state_machine_as_test,
)
from psycopg import sql
from workers import NAMES, Workers, at_work

import topic_changes
from comparison import report
from conformance.deployment import deployed
from conformance.hostile import Statement
from events import Send, deletion
from firstclick import oracle
from firstclick.core.pipeline import Pipeline
from firstclick.core.settings import Settings
from firstclick.operate import stack as stacks
from firstclick.verify.findings import Row
from firstclick.workers.expire import expire_once
from harness import EVENTS, Harness

LONG = os.environ.get("FIRSTCLICK_TEST_LONG") == "1"
SEED = int(os.environ.get("FIRSTCLICK_TEST_SEED", random.randrange(1 << 32)))

EDGES = (timedelta(0), timedelta(minutes=10), timedelta(hours=1))
"""How long after its time an event enters or leaves a relation without a message."""

LONGEST_WAIT = timedelta(seconds=2)

MOST_PARTITIONS = 12

shares = st.lists(
    st.integers(0, 100), min_size=MOST_PARTITIONS, max_size=MOST_PARTITIONS
)
"""A percentage for each possible partition."""


@pytest.fixture(scope="module")
def pipeline_at_work(servers: Pipeline) -> Iterator[tuple[Harness, Workers]]:
    """Run a pipeline for this module only, on the session's servers."""
    own = Settings.load().model_copy(
        update={
            "database_url": servers.database_url,
            "kafka_bootstrap_servers": servers.bootstrap_servers,
        }
    )
    with deployed(own) as pipeline:
        stacks.down(pipeline.stack.home)
        with at_work(pipeline.stack) as workers:
            yield pipeline, workers


class History(RuleBasedStateMachine):
    """A history of a pipeline that holds only reference data at first.

    The steps don't predict results. After each one, the oracle computes the expected
    result from the messages in Kafka and the reference tables.
    """

    def __init__(self, pipeline: Harness, workers: Workers) -> None:
        super().__init__()
        self.pipeline = pipeline
        self.workers = workers
        self.admin = AdminClient({**pipeline.stack.kafka.client(), "log_level": 0})
        now = datetime.now(UTC)
        self.start = now.replace(microsecond=now.microsecond // 1000 * 1000)
        self.anchors: list[datetime] = []
        self.sent: list[Send] = []
        self.times: set[datetime] = set()

    @initialize(
        statements=reference_data(),
        anchors=st.tuples(st.sampled_from(ANCHORS), st.sampled_from(ANCHORS)),
        made=many_payloads(),
    )
    def begin(
        self,
        statements: list[Statement],
        anchors: tuple[int, int],
        made: list[Payload],
    ) -> None:
        self.execute(statements)
        self.anchors = [anchored(self.start, anchor) for anchor in anchors]
        self.publish([self.message(payload) for payload in made])
        self.settle()

    @rule(made=st.lists(payloads(), min_size=1, max_size=10))
    def produce(self, made: list[Payload]) -> None:
        """Send events; they upsert earlier ones with the same keys."""
        self.publish([self.message(payload) for payload in made])
        self.settle()

    @rule(numbers=some_numbers)
    def delete(self, numbers: list[int]) -> None:
        self.publish([deletion(message) for message in self.earlier(numbers)])
        self.settle()

    @rule(numbers=some_numbers)
    def duplicate(self, numbers: list[int]) -> None:
        """Send messages again, some after they were corrected or deleted."""
        self.publish(self.earlier(numbers))
        self.settle()

    @rule(data=st.data())
    def reorder(self, data: st.DataObject) -> None:
        """Send all messages again, in another order."""
        self.publish(data.draw(st.permutations(self.sent)))
        self.settle()

    @rule(statements=changes())
    def change_reference_data(self, statements: list[Statement]) -> None:
        self.execute(statements)
        self.settle()

    @rule()
    def let_time_pass(self) -> None:
        """Wait until time moves an event into or out of a relation, if that is soon."""
        edge = self.next_edge()
        if edge is not None:
            self.pipeline.eventually(
                lambda: self.pipeline.execute("select where now() >= %s", [edge]),
                f"{edge} past",
            )
            self.settle()

    @rule(
        name=st.sampled_from(NAMES),
        kill=st.booleans(),
        made=st.lists(payloads(), min_size=1),
    )
    def restart(self, name: str, kill: bool, made: list[Payload]) -> None:
        """Restart a worker while it processes events."""
        self.publish([self.message(payload) for payload in made])
        self.workers.restart(name, kill=kill)
        self.settle()

    @rule(
        topic=st.sampled_from(EVENTS),
        waiting=many_payloads(),
        numbers=some_numbers,
        deleted=some_numbers,
        made=many_payloads(),
        ended=st.booleans(),
    )
    def add_partitions(
        self,
        topic: str,
        waiting: list[Payload],
        numbers: list[int],
        deleted: list[int],
        made: list[Payload],
        ended: bool,
    ) -> None:
        """Add a partition, which moves keys, while messages wait for the connector."""
        count = len(self.pipeline.ends(topic))
        if count == MOST_PARTITIONS:
            return
        with self.workers.without(*(["connector"] if ended else [])):
            self.publish([self.message(payload) for payload in waiting])
            topic_changes.add_partitions(self.admin, self.named(topic), count + 1)
            self.pipeline.await_partitions(topic, count + 1)
            self.publish(self.earlier(numbers))
            self.publish([deletion(message) for message in self.earlier(deleted)])
            self.publish([self.message(payload) for payload in made])
        self.settle()

    @rule(
        really=st.sampled_from([False] * 3 + [True]),
        topic=st.sampled_from([*EVENTS, "checkouts"]),
        partitions=st.integers(1, 4),
        numbers=some_numbers,
        deleted=some_numbers,
        data=st.data(),
        ended=st.booleans(),
    )
    def create_topic_again(
        self,
        really: bool,
        topic: str,
        partitions: int,
        numbers: list[int],
        deleted: list[int],
        data: st.DataObject,
        ended: bool,
    ) -> None:
        """Create a topic again; the old one's messages still count, as older ones.

        It takes seconds, so three in four times it does nothing.
        """
        if not really:
            return
        with self.workers.without(*(NAMES if ended else [])):
            with self.pipeline.replacing(topic):
                topic_changes.create_topic_again(
                    self.admin, self.named(topic), partitions
                )
            # At least one message must be of that topic
            of_topic = payloads(topic if topic in EVENTS else None)
            made = data.draw(st.lists(of_topic, min_size=1, max_size=10))
            self.publish([self.message(payload) for payload in made])
            self.publish([deletion(message) for message in self.earlier(deleted)])
            self.publish(self.earlier(numbers))
        self.settle()

    @rule(topic=st.sampled_from(EVENTS), parts=shares, restarted=st.booleans())
    def delete_records(self, topic: str, parts: list[int], restarted: bool) -> None:
        """Delete records that the connector has read, which changes nothing."""
        lost = self.lost()
        ends = self.pipeline.ends(topic)
        self.delete_before({n: end * parts[n] // 100 for n, end in ends.items()}, topic)
        if restarted:
            self.workers.restart("connector", kill=False)
        self.settle()
        assert self.lost() == lost

    @rule(topic=st.sampled_from(EVENTS), parts=shares, made=many_payloads())
    def delete_unread_records(
        self, topic: str, parts: list[int], made: list[Payload]
    ) -> None:
        """Delete unread records: these, and only these, are missing and counted."""
        lost = self.lost()
        read = self.pipeline.ends(topic)
        with self.workers.without("connector"):
            self.publish([self.message(payload) for payload in made])
            before = {
                number: read[number] + (end - read[number]) * parts[number] // 100
                for number, end in self.pipeline.ends(topic).items()
            }
            self.delete_before(before, topic)
        self.settle()
        lost[topic] += sum(before[number] - read[number] for number in before)
        assert self.lost() == lost

    @rule()
    def expire(self) -> None:
        """Expire what is older than two days, and nothing else."""
        kept = {name: self.kept(name) for name in ("stg_clicks", "stg_purchases")}
        expire_once(self.pipeline.stack)
        self.settle()
        for name, rows in kept.items():
            assert sorted(self.pipeline.rows_of(name, oracle.COLUMNS[name])) == rows

    @rule(really=st.sampled_from([False] * 29 + [True]))
    def deploy(self, really: bool) -> None:
        """Run `dbt run`, rarely because it takes longer than everything else."""
        if really:
            done = self.pipeline.dbt("run")
            assert done.returncode == 0, done.stdout
            self.settle()

    def teardown(self) -> None:
        """Delete everything, including rows that a defect has left."""
        pipeline = self.pipeline
        pipeline.publish({deletion(message) for message in self.sent})
        pipeline.settle()
        self.execute(
            [
                ("delete from {schema}.users where user_id like 'history %'", ()),
                ("delete from {schema}.products where product_id like 'history %'", ()),
            ]
        )
        if pipeline.differences():
            empty(pipeline.stack)

    def kept(self, relation: str) -> list[Row]:
        """Return the rows of a relation that an expiry must keep.

        The others are all far older than the retention. The last column is the time.
        """
        rows = self.pipeline.rows_of(relation, oracle.COLUMNS[relation])
        since = self.start - timedelta(hours=48)
        return sorted(row for row in rows if row[-1] > since)

    def message(self, payload: Payload) -> Send:
        anchor = self.anchors[payload.anchor]
        self.times.add(payload.time(anchor))
        return payload.near(anchor)

    def named(self, topic: str) -> str:
        """Return a topic's name in Kafka."""
        return self.pipeline.stack.topic_prefix + topic

    def delete_before(self, before: dict[int, int], topic: str) -> None:
        topic_changes.delete_records(self.admin, self.named(topic), before)

    def lost(self) -> dict[str, int]:
        """Return how many messages of each topic the pipeline counts as lost."""
        rows = self.pipeline.execute(
            "select topic, lost_messages from {schema}.pipeline_health"
        )
        return dict(map(tuple, rows))

    def earlier(self, numbers: list[int]) -> list[Send]:
        return [self.sent[number % len(self.sent)] for number in numbers]

    def publish(self, messages: list[Send]) -> None:
        self.pipeline.publish(messages)
        self.sent += messages

    def settle(self) -> None:
        self.pipeline.settle()
        differences = self.pipeline.differences()
        assert not differences, report(differences)

    def execute(self, statements: list[Statement]) -> None:
        for statement, parameters in statements:
            self.pipeline.execute(statement, parameters)

    def next_edge(self) -> datetime | None:
        """Return when time next moves an event into or out of a relation, if soon."""
        now = datetime.now(UTC)
        edges = (time + edge for time in self.times for edge in EDGES)
        return min((e for e in edges if now < e < now + LONGEST_WAIT), default=None)


def empty(stack: Pipeline) -> None:
    """Delete the rows that a defect has left, so that the next history starts empty.

    This marks all checkouts as changed, so that the publisher deletes them from the
    topic `checkouts` as well.
    """
    with psycopg.connect(
        stack.database_url, options=f"-c search_path={stack.schema_name}"
    ) as connection:
        tables = connection.execute(
            "select tablename from pg_tables"
            " where schemaname = current_schema and tablename <> all(%s)",
            [
                [
                    *("users", "products", "kafka_offsets", "kafka_tombstones"),
                    *("checkouts_changes", "checkouts_published"),
                ]
            ],
        ).fetchall()
        # Enable triggers as they are now, or a deployment would rebuild everything
        enabling = connection.execute(
            "select format('alter table %%s enable %%s trigger %%I', tgrelid::regclass,"
            " case tgenabled when 'A' then 'always' else 'replica' end, tgname)"
            " from pg_trigger where tgenabled in ('A', 'R') and not tgisinternal"
            " and tgrelid = any(%s::regclass[])",
            [[sql.Identifier(name).as_string() for (name,) in tables]],
        ).fetchall()
        for (name,) in tables:
            connection.execute(
                sql.SQL(
                    "alter table {table} disable trigger user; delete from {table}"
                ).format(table=sql.Identifier(name))
            )
        for (statement,) in enabling:
            connection.execute(statement.encode())
        connection.cursor().executemany(
            "insert into checkouts_changes (purchase_id) values (%s)",
            [[key] for key in PURCHASES],
        )


# Seconds: Hypothesis takes up to 300 s to shrink a failing history
@pytest.mark.timeout(0 if LONG else 600)
def test_any_history_settles_to_the_specification(
    pipeline_at_work: tuple[Harness, Workers],
) -> None:
    print(f"FIRSTCLICK_TEST_SEED={SEED}")

    @seed(SEED)
    class Here(History):
        def __init__(self) -> None:
            super().__init__(*pipeline_at_work)

    run_state_machine_as_test(
        Here,
        settings=settings(
            max_examples=1500 if LONG else 12,
            stateful_step_count=20 if LONG else 8,
            deadline=None,
            database=None,
            phases=[Phase.generate, Phase.shrink],
            suppress_health_check=list(HealthCheck),
        ),
    )

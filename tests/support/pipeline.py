"""What tests ask of a whole pipeline: that it settles, and what it should hold."""

import os
import subprocess
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, LiteralString

import psycopg
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient
from psycopg.rows import dict_row

from firstclick.core.cluster import describe_topics
from firstclick.core.database import postgres_environment
from firstclick.core.pipeline import Pipeline
from firstclick.core.project import PROJECT
from firstclick.verify import Example, recompute, snapshot
from firstclick_generator import generate
from forked_dbt import run_dbt
from worker_world import PATIENCE, eventually


class Harness:
    """A running stack, its database and its topics."""

    def __init__(self, stack: Pipeline) -> None:
        self.stack = stack
        self.database = psycopg.connect(
            stack.database_url,
            autocommit=True,
            options=f"-c search_path={stack.schema_name}",
        )
        self.producer = stack.kafka.producer({"message.max.bytes": 2_000_000})
        self.consumer = Consumer(
            {
                **stack.kafka.client(),
                "group.id": "tests",
                "enable.auto.commit": False,
                "enable.partition.eof": True,
            }
        )

    def close(self) -> None:
        self.database.close()
        self.consumer.close()

    def query(self, sql: LiteralString, *parameters: Any) -> list[tuple[Any, ...]]:
        return self.database.execute(sql, parameters or None).fetchall()

    def ends(self, topic: str) -> dict[int, int]:
        """Each partition's high watermark, from Kafka itself."""
        name = self.stack.topic_prefix + topic
        partitions = self.consumer.list_topics(name, 10).topics[name].partitions
        return {
            number: self.consumer.get_watermark_offsets(
                TopicPartition(name, number), timeout=10
            )[1]
            for number in partitions
        }

    def _id_of(self, topic: str) -> str | None:
        name = self.stack.topic_prefix + topic
        client = AdminClient({**self.stack.kafka.client(), "log_level": 0})
        return describe_topics(client, [name], PATIENCE)[name].id

    def settle(self) -> None:
        """Wait until everything that Kafka holds now has been applied and published."""
        # With the topic's id: the offsets may be those of a topic that is gone
        ends = {
            (topic, partition, self._id_of(topic)): end
            for topic in ("clicks", "purchases")
            for partition, end in self.ends(topic).items()
        }

        def applied() -> bool:
            read = {
                (topic, partition, topic_id): offset
                for topic, partition, topic_id, offset in self.query(
                    "select topic, kafka_partition, topic_id, next_offset"
                    " from kafka_offsets"
                )
            }
            return all(read.get(at, 0) >= end for at, end in ends.items())

        eventually(applied, "all messages applied")
        eventually(
            lambda: not self.query("select from checkouts_changes limit 1"),
            "all changes published",
        )

    def send(self, topic: str, key: bytes | None, payload: bytes | None) -> None:
        self.producer.produce(self.stack.topic_prefix + topic, payload, key)
        assert self.producer.flush(PATIENCE) == 0

    @contextmanager
    def flowing(self, rate: float, anomaly_rate: float) -> Iterator[None]:
        """The generator sends for as long as the block runs, clicks among it."""
        stop = threading.Event()
        with ThreadPoolExecutor() as pool:
            produced = pool.submit(
                generate,
                self.stack.bootstrap_servers,
                rate=rate,
                duration=None,
                anomaly_rate=anomaly_rate,
                stop=stop,
            )
            try:
                yield
            finally:
                stop.set()
            assert produced.result().clicks > 0

    def differences(self) -> dict[str, list[Example]]:
        """Rows in which a relation differs from plain SQL over the raw tables."""
        with snapshot(self.stack.database_url, self.stack.schema_name) as (
            connection,
            models,
        ):
            return {
                finding.relation: finding.examples
                for finding in recompute(connection, models)
                if finding.differing
            }

    def published(self) -> dict[str, bytes]:
        """The last message of each key of `checkouts`, tombstones left out."""
        return {
            key.decode(): value for key, value in self.messages("checkouts").items()
        }

    def messages(self, topic: str) -> dict[bytes, bytes]:
        """The last message of each key of a topic, tombstones left out."""
        name = self.stack.topic_prefix + topic
        ends = {number: end for number, end in self.ends(topic).items() if end}
        self.consumer.assign([TopicPartition(name, number, 0) for number in ends])
        last: dict[bytes, bytes | None] = {}
        while ends:
            for message in self.consumer.consume(10_000, 1.0):
                if message.error() is not None:
                    ends.pop(message.partition(), None)
                    continue
                last[message.key() or b""] = message.value()
        # Else a look-up of offsets waits behind a fetch that waits for messages
        self.consumer.unassign()
        return {key: value for key, value in last.items() if value is not None}

    def checkouts(self) -> list[dict[str, Any]]:
        with self.database.cursor(row_factory=dict_row) as cursor:
            return cursor.execute("select * from checkouts").fetchall()

    def dbt(
        self, *arguments: str, project: Path = PROJECT
    ) -> subprocess.CompletedProcess[str]:
        """Run dbt on the pipeline; the target folder is the project's and its own."""
        return run_dbt(
            *arguments,
            directory=project,
            environment={
                **os.environ,
                **postgres_environment(self.stack.database_url),
                "FIRSTCLICK_SCHEMA": self.stack.schema_name,
                "DBT_TARGET_PATH": str(self.stack.home / "target" / project.name),
                "DBT_LOG_PATH": str(self.stack.home / "logs"),
            },
        )

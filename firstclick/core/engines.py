"""The differences between the engines that a client has to know."""

from dataclasses import dataclass
from typing import LiteralString


@dataclass(frozen=True, slots=True)
class Engine:
    """How a client reads an engine, and the ways in which the engine behaves."""

    name: str
    """The name of its dbt target, as in FIRSTCLICK_TARGET."""
    title: str
    """The name to show to people."""
    begin: LiteralString
    """Statement that begins a transaction whose queries all see the same moment."""
    now: LiteralString
    """Query that returns that moment."""
    messages: LiteralString
    """Query for the latest message of each key in ``raw``, without tombstones. If the
    source keeps every message it ever read, the query only returns those within the
    retention."""
    first: LiteralString | None = None
    """The first query of a transaction, for an engine that restricts a transaction to
    the schemas that its first query reads."""
    sources_suffix: str = ""
    """Suffix that makes the pipeline's schema into the schema of the sources and the
    reference data."""
    same_user: LiteralString = "clicks.user_id = wanted.user_id"
    """Condition that compares the users of two rows, written so that it can use an
    index."""
    flush: LiteralString | None = None
    """Statement after which queries see this session's writes."""
    has_progress: bool = False
    """True if SQL can show what has been read from Kafka (kafka_offsets) and what is
    still to be published (checkouts_changes)."""
    has_microseconds: bool = False
    """True if the engine's current time has microseconds, not only milliseconds."""
    may_be_behind: bool = False
    """True if a relation that depends on the time may show an earlier moment while the
    engine is overloaded."""
    takes_keyless: bool = True
    """True if a message without a key becomes a row. If not, it stops the source."""
    differs_where_it_may: bool = True
    """True if the engine differs from the oracle where the specification allows it."""

    def sources_of(self, schema: str) -> str:
        """Return the schema of the sources and the reference data.

        A deployment beside the running pipeline, in ``…_dbt_deploy``, shares them.
        """
        return schema.removesuffix("_dbt_deploy") + self.sources_suffix


ENGINES = {
    engine.name: engine
    for engine in (
        Engine(
            "embedded",
            "PostgreSQL",
            begin="begin isolation level repeatable read, read only",
            now="select now()",
            messages="select * from {raw}",
            same_user="hashtextextended(clicks.user_id, 0)"
            " = hashtextextended(wanted.user_id, 0)"
            " and clicks.user_id = wanted.user_id",
            has_progress=True,
            has_microseconds=True,
            differs_where_it_may=False,
        ),
        Engine(
            "materialize",
            "Materialize",
            begin="begin",
            now="select to_timestamp(mz_now()::text::numeric / 1000)",
            messages="""
                select event_key, data as payload,
                    kafka_time, kafka_partition, kafka_offset::bigint as kafka_offset
                from {raw}
            """,
            first="""
                select count(*) from {schema}.pipeline_engine
                where exists (select from {sources}.users)
            """,
            sources_suffix="_sources",
            takes_keyless=False,
        ),
        Engine(
            "risingwave",
            "RisingWave",
            begin="begin read only",
            now="select now()",
            messages="""
                select event_key, payload, kafka_time,
                    kafka_partition::integer as kafka_partition, kafka_offset
                from (
                    select event_key, payload, kafka_time, kafka_partition,
                        kafka_offset::bigint as kafka_offset,
                        row_number() over (
                            partition by event_key, case
                                when event_key is null
                                    then kafka_partition || '/' || kafka_offset
                            end
                            order by kafka_time desc, kafka_partition::integer desc,
                                kafka_offset::bigint desc
                        ) as recency
                    from {raw}
                    where kafka_time > now() - {retention}::interval
                ) as ranked
                where recency = 1 and payload is not null
            """,
            sources_suffix="_sources",
            flush="flush",
            may_be_behind=True,
        ),
    )
}
"""The engines by name."""

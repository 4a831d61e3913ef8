"""What a client has to know of each engine; everything else is the same on all."""

from dataclasses import dataclass
from typing import LiteralString


@dataclass(frozen=True, slots=True)
class Engine:
    """How to read an engine, and what it can't be asked to hold."""

    name: str
    """As dbt's target and FIRSTCLICK_TARGET name it."""
    title: str
    """As people call it."""
    begin: LiteralString
    """Begins a transaction whose queries all see one moment."""
    now: LiteralString
    """Asks for that moment."""
    messages: LiteralString
    """Selects the latest message of each key from ``raw``, without tombstones. Where
    the source holds everything that ever came, only messages within the retention
    count."""
    first: LiteralString | None = None
    """The first query of a transaction, on an engine that ties a transaction to the
    schemas that its first query reads."""
    sources_suffix: str = ""
    """Follows the pipeline's schema in the name of the schema of sources and reference
    data."""
    same_user: LiteralString = "clicks.user_id = wanted.user_id"
    """Compares the users of two rows, in the form that an index serves."""
    flush: LiteralString | None = None
    """Makes later queries see what this session has written."""
    has_progress: bool = False
    """Whether SQL tells what has been read from Kafka (kafka_offsets), and what still
    has to be published (checkouts_changes)."""
    has_microseconds: bool = False
    """Whether a moment may be between two milliseconds."""
    may_be_behind: bool = False
    """Whether a relation that depends on the time may show an earlier moment while the
    engine has more to do than it can."""
    takes_keyless: bool = True
    """Whether a message without a key becomes a row; if not, it stops the source."""
    differs_where_it_may: bool = True
    """Whether the engine differs where the specification leaves it the choice."""

    def sources_of(self, schema: str) -> str:
        """Return the schema of sources and reference data, which a deployment beside
        the pipeline leaves alone."""
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
"""By name."""

"""The wrong edits, and the suites that run on each of them."""

from dataclasses import dataclass
from pathlib import Path

FIRST_CLICKS = "macros/dialect/first_clicks.sql"
CHECKOUTS = "models/attribution/checkouts.sql"
ATTRIBUTION = "models/attribution/_attribution__models.yml"
VALIDATED_PURCHASES = "models/staging/int_purchases_validated.sql"
BASE_PURCHASES = "models/staging/base_purchases.sql"
DELTAS = "macros/maintained_view/delta_sql.sql"
PREPARATION = "macros/maintained_view/prepare_maintenance.sql"
SINK = "macros/maintained_view/kafka_sink.sql"
REASONS = "macros/rejection/rejection_reason.sql"
KINDS = "macros/rejection/field_kinds.sql"
LAST_HOUR = "macros/dialect/minutes_of_last_hour.sql"
INGEST = "firstclick/workers/connector/ingest.py"
BATCH = "firstclick/workers/connector/batch.py"
TABLES = "firstclick/workers/connector/tables.py"
PUBLISHER = "firstclick/workers/publisher.py"

MODELS = ("dbt", "conformance")
MACROS = ("maintained_view",)
CONNECTOR = ("connector",)
ROLES = ("roles",)


@dataclass(frozen=True, slots=True)
class Edit:
    """A wrong edit: its name, and the text to replace with another."""

    wrong: str
    file: str
    before: str
    after: str
    suites: tuple[str, ...]

    def apply(self, project: Path) -> str:
        """Make the edit in a copy of the project; return the file's previous text.

        Raises LookupError unless the file contains the text to replace exactly once.
        """
        path = project / self.file
        text = path.read_text()
        if text.count(self.before) != 1:
            raise LookupError(
                f"{self.file} was expected to have {self.before!r} once, but has it "
                f"{text.count(self.before)} times: bring the edit up to date"
            )
        path.write_text(text.replace(self.before, self.after))
        return text


EDITS = [
    Edit(
        "a click at the purchase's own millisecond is no candidate",
        FIRST_CLICKS,
        "clicks.click_time <= purchases.purchase_time",
        "clicks.click_time < purchases.purchase_time",
        MODELS,
    ),
    Edit(
        "a click exactly ten minutes before is no candidate",
        FIRST_CLICKS,
        ">= purchases.purchase_time - {{ interval_of",
        "> purchases.purchase_time - {{ interval_of",
        MODELS,
    ),
    Edit(
        "a click at the newest purchase's millisecond makes no difference to it",
        ATTRIBUTION,
        "changed.click_time <= (select",
        "changed.click_time < (select",
        MODELS,
    ),
    Edit(
        "a click at the first's millisecond makes no difference",
        ATTRIBUTION,
        "changed.click_time <= stored",
        "changed.click_time < stored",
        MODELS,
    ),
    Edit(
        "the condition for the index cuts the window short",
        FIRST_CLICKS,
        "<= clicks.click_time + {{ interval_of",
        "< clicks.click_time + {{ interval_of",
        MODELS,
    ),
    Edit(
        "clicks of one millisecond are in no order",
        FIRST_CLICKS,
        "{{ binary_collation('clicks.click_id') }}",
        "{{ binary_collation('clicks.click_id') }} desc",
        MODELS,
    ),
    Edit(
        "the last click wins",
        FIRST_CLICKS,
        "order by clicks.click_time, {{",
        "order by clicks.click_time desc, {{",
        MODELS,
    ),
    Edit(
        "profit is a share of the whole cost",
        CHECKOUTS,
        "priced.product_cost * priced.commission_rate",
        "(priced.product_cost + priced.shipping_cost) * priced.commission_rate",
        MODELS,
    ),
    Edit(
        "the discount is not taken off",
        CHECKOUTS,
        "* (1 - purchases.discount)",
        "* 1",
        MODELS,
    ),
    Edit(
        "shipping is not part of the cost",
        CHECKOUTS,
        "priced.product_cost + priced.shipping_cost as total_cost",
        "priced.product_cost as total_cost",
        MODELS,
    ),
    Edit(
        "a purchase without a click is no checkout",
        CHECKOUTS,
        "left join first_clicks",
        "inner join first_clicks",
        MODELS,
    ),
    Edit(
        "a changed first click does not reach its checkout",
        ATTRIBUTION,
        "purchase_first_clicks: purchase_id",
        "purchase_first_clicks: click_id",
        MODELS,
    ),
    Edit(
        "an unknown product is no reason",
        VALIDATED_PURCHASES,
        "when products.product_id is null then 'unknown product'",
        "when false then 'unknown product'",
        MODELS,
    ),
    Edit(
        "an unknown product is said before an unknown user",
        VALIDATED_PURCHASES,
        "when users.user_id is null then 'unknown user'",
        "when users.user_id is null and products.product_id is not null"
        " then 'unknown user'",
        MODELS,
    ),
    Edit(
        "a success has a reason of failure",
        BASE_PURCHASES,
        "when reason is null and payment_status = 'failure'",
        "when reason is null",
        MODELS,
    ),
    Edit(
        "an empty text is a text",
        KINDS,
        "field ~ \" <> ''\"",
        "field ~ ' is not null'",
        MODELS,
    ),
    Edit(
        "a million pieces are too many",
        KINDS,
        "between 1 and 1000000'",
        "between 1 and 999999'",
        MODELS,
    ),
    Edit("a discount may be all", KINDS, "' < 1'", "' <= 1'", MODELS),
    Edit(
        "shipping may not be free",
        KINDS,
        "' >= 0 and ' ~ field ~ ' < 1000000'",
        "' > 0 and ' ~ field ~ ' < 1000000'",
        MODELS,
    ),
    Edit(
        "seven digits after the point are not too many",
        "macros/dialect/decimal_value.sql",
        "places=6",
        "places=7",
        MODELS,
    ),
    Edit(
        "five minutes ahead is the future",
        REASONS,
        "> kafka_time + interval",
        ">= kafka_time + interval",
        MODELS,
    ),
    Edit(
        "a key may differ from the id",
        REASONS,
        "when ({{ key_is(id) }}) is not true",
        "when ({{ key_is(id) }}) is null",
        MODELS,
    ),
    Edit(
        "a null is of the wrong type rather than missing",
        REASONS,
        "coalesce(jsonb_typeof(document->'{{ field }}'), 'null') = 'null'",
        "document->'{{ field }}' is null",
        MODELS,
    ),
    Edit(
        "an array is an object",
        REASONS,
        "(jsonb_typeof(document) = 'object') is not true",
        "document is null",
        MODELS,
    ),
    Edit(
        "1969 is a time",
        KINDS,
        "between '1970",
        "between '1969",
        MODELS,
    ),
    Edit(
        "a time may be written in any way",
        KINDS,
        'event_time_text(field) ~ " = document->>\'" ~ field ~ "\'"',
        "field ~ ' is not null'",
        MODELS,
    ),
    Edit(
        "a source's minute counts what no source led to",
        "macros/insights/minute_sources.sql",
        "and click_id is not null ",
        "",
        MODELS,
    ),
    Edit(
        "a failed payment is revenue",
        "macros/insights/minute_revenue.sql",
        "payment_status = 'success'",
        "payment_status <> ''",
        MODELS,
    ),
    Edit(
        "attributed profit is all profit",
        "macros/insights/minute_revenue.sql",
        "sum(profit) filter (where click_id is not null)",
        "sum(profit)",
        MODELS,
    ),
    Edit(
        "the last hour has its first millisecond twice",
        LAST_HOUR,
        "purchase_time > now() - interval '1 hour'",
        "purchase_time > now() - interval '1 hour 1 millisecond'",
        MODELS,
    ),
    Edit(
        "the last hour has what is yet to come",
        LAST_HOUR,
        "            and purchase_time <= now()\n",
        "",
        MODELS,
    ),
    Edit(
        "a minute that has just left the hour still counts",
        LAST_HOUR,
        "minute > now() - interval '1 hour'",
        "minute > now() - interval '61 minutes'",
        MODELS,
    ),
    Edit(
        "a rejected event is accepted as well",
        "models/health/pipeline_health.sql",
        "sum(messages) filter (where reason is null)",
        "sum(messages)",
        MODELS,
    ),
    Edit(
        "times are published without their milliseconds",
        "macros/dialect/event_time_text.sql",
        '"T"HH24:MI:SS.MS"Z"',
        '"T"HH24:MI:SS".000Z"',
        MODELS,
    ),
    Edit(
        "what is deleted is added",
        DELTAS,
        "select {{ 1 if side == 'added' else -1 }} as sign",
        "select 1 as sign",
        MACROS,
    ),
    Edit(
        "a group of nothing stays",
        DELTAS,
        "{{ definition.config.count }} = 0 as is_empty",
        "false as is_empty",
        MACROS,
    ),
    Edit(
        "a sum that was no number once stays none",
        DELTAS,
        "filter (where is_not_finite)",
        "filter (where false)",
        MACROS,
    ),
    Edit(
        "what was computed anew is added once more",
        DELTAS,
        "if strpos(current_setting('firstclick.computed_anew', true), '{{ mark }}')"
        " > 0",
        "if false",
        MACROS,
    ),
    Edit(
        "a sum is stored again only where it grew",
        DELTAS,
        "sum(sign * {{ column.name }}) <> 0",
        "sum(sign * {{ column.name }}) > 0",
        MACROS,
    ),
    Edit(
        "of an update only the new rows count",
        DELTAS,
        "'(select * from old_rows union all select * from new_rows)'",
        "'(select * from new_rows)'",
        MACROS,
    ),
    Edit(
        "rows that are gone stay",
        DELTAS,
        "and {{ is_computed }} is not true",
        "and {{ is_computed }} is null",
        MACROS,
    ),
    Edit(
        "what moves is there twice for a moment",
        DELTAS,
        """        put as (
            {{ upsert(definition, columns) }}
        )
        delete from {{ definition.relation }} as model
        where {{ condition }}
            and {{ is_computed }} is not true;
""",
        """        gone as (
            delete from {{ definition.relation }} as model
            where {{ condition }}
                and {{ is_computed }} is not true
        )
        {{ upsert(definition, columns) }};
""",
        MACROS,
    ),
    Edit(
        "a row that has changed stays as it was",
        DELTAS,
        "    where stored.* is distinct from excluded.*",
        "    where false",
        MACROS,
    ),
    Edit(
        "nulls are no keys",
        DELTAS,
        "array_position(touched_{{ loop.index }}, null) is null",
        "true",
        MACROS,
    ),
    Edit(
        "of several keys each counts by itself",
        DELTAS,
        "and (({{ keys | join(', ') }}) in (select * from unnest("
        "{{ touched_variables(keys) }}))) is true",
        "",
        MACROS,
    ),
    Edit(
        "each part of a union adds the other once more",
        DELTAS,
        "' where false)')",
        "')')",
        MACROS,
    ),
    Edit(
        "a look-up touches the changed rows' keys only",
        DELTAS,
        "{% elif by == definition.config.unique_key %}",
        "{% elif by %}",
        MACROS,
    ),
    Edit(
        "what is looked up is looked up once and for all",
        DELTAS,
        "where {touched})')) }}",
        "where {touched} and false)')) }}",
        MACROS,
    ),
    Edit(
        "a truncation goes unnoticed",
        PREPARATION,
        "    if tg_op = 'TRUNCATE' then",
        "    if false then",
        MACROS,
    ),
    Edit(
        "writers don't wait for each other",
        PREPARATION,
        "    perform {{ maintenance }}.lock_writers();\n    -- A truncation",
        "    -- A truncation",
        MACROS,
    ),
    Edit(
        "whoever feeds a model must be allowed to change it",
        "macros/maintained_view/as_owner.sql",
        "security definer set",
        "set",
        ROLES,
    ),
    Edit(
        "anybody may have a trigger of theirs change a model",
        "macros/maintained_view/as_owner.sql",
        "revoke execute on function {{ function }} from public",
        "",
        ROLES,
    ),
    Edit(
        "an edited model keeps its old rows",
        "macros/maintained_view/deploy_model.sql",
        "{% if not plan.has_its_rows %}",
        "{% if false %}",
        MACROS,
    ),
    Edit(
        "what is rebuilt at once reads what was there before",
        "macros/maintained_view/deploy_in_single_transaction.sql",
        "{% do coming.stand_ins.update({relation: successor}) %}",
        "",
        MACROS,
    ),
    Edit(
        "a run with an error is deployed at once all the same",
        "macros/maintained_view/deploy_in_single_transaction.sql",
        "['error', 'fail', 'runtime error', 'skipped']",
        "[]",
        MACROS,
    ),
    Edit(
        "a deleted checkout is not noted for the topic",
        SINK,
        "select {{ key }} from old_rows;",
        "select {{ key }} from old_rows where false;",
        ("conformance",),
    ),
    Edit(
        "offsets are committed before their rows",
        INGEST,
        "            self._tables.write(batches, self._progress)\n"
        "            self._tables.advance(self._moved(), time.monotonic() - taken)\n",
        "            self._tables.advance(self._moved(), time.monotonic() - taken)\n"
        "        with self._tables.transaction():\n"
        "            self._tables.write(batches, self._progress)\n",
        CONNECTOR,
    ),
    Edit(
        "rows are committed before their offsets",
        INGEST,
        "            self._tables.write(batches, self._progress)\n"
        "            self._tables.advance(self._moved(), time.monotonic() - taken)\n",
        "            self._tables.write(batches, self._progress)\n"
        "        with self._tables.transaction():\n"
        "            self._tables.advance(self._moved(), time.monotonic() - taken)\n",
        CONNECTOR,
    ),
    Edit(
        "the first message of a key wins over later ones",
        BATCH,
        "batch.latest[key] = row",
        "batch.latest.setdefault(key, row)",
        CONNECTOR,
    ),
    Edit(
        "tombstones delete nothing",
        TABLES,
        "            if gone:\n                keys =",
        "            if False:\n                keys =",
        CONNECTOR,
    ),
    Edit(
        "messages without a key are dropped",
        BATCH,
        "elif payload is not None:",
        "elif False:",
        CONNECTOR,
    ),
    Edit(
        "a partition stays paused in the next assignment",
        "firstclick/workers/connector/source.py",
        "        self.pause(())\n        self._consumer.assign(",
        "        self._paused = set()\n        self._consumer.assign(",
        CONNECTOR,
    ),
    Edit(
        "a change is forgotten before Kafka has it",
        PUBLISHER,
        "            topic.send(messages.items())\n",
        "            outbox.delete(changes)\n"
        "            topic.send(messages.items())\n",
        ("publisher",),
    ),
    Edit(
        "a deletion is published as an empty checkout",
        PUBLISHER,
        "if checkout[0] is not None",
        "if True",
        ("publisher",),
    ),
]

"""You can restore a lost pipeline from its backup, and it goes on from there."""

import contextlib
import shutil
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from psycopg import sql

from firstclick import oracle
from firstclick.core.errors import HomeError, ServerError
from firstclick.core.pipeline import Pipeline
from firstclick.core.settings import Settings
from firstclick.operate import stack as stacks
from firstclick.operate.backup import backup, restore
from firstclick_generator import generate
from harness import Harness

pytestmark = pytest.mark.timeout(300)

RELATIONS = (
    "checkouts",
    "minute_categories",
    "minute_genders",
    "minute_payment_failures",
    "minute_revenue",
    "minute_sources",
    "purchase_first_clicks",
    "stg_clicks",
    "stg_purchases",
)


def rows(pipeline: Harness) -> dict[str, set[object]]:
    return {
        relation: set(pipeline.query(f"select * from {relation}"))  # type: ignore[arg-type]
        for relation in RELATIONS
    }


@dataclass(frozen=True)
class Taken:
    """A backup, and the home that it was taken from, which no longer runs."""

    file: Path
    settings: Settings
    rows: dict[str, set[object]]
    published: dict[str, bytes]


@pytest.fixture(scope="module")
def taken(
    make_home: Callable[[], Path], tmp_path_factory: pytest.TempPathFactory
) -> Taken:
    file = tmp_path_factory.mktemp("backup") / "shop.backup"
    settings = Settings.load().model_copy(update={"home": make_home()})
    with (
        stacks.up(settings) as started,
        contextlib.closing(Harness(started.pipeline)) as pipeline,
    ):
        generate(
            started.pipeline.bootstrap_servers, rate=1, duration=0, backfill_hours=0.2
        )
        pipeline.settle()
        taken = Taken(file, settings, rows(pipeline), pipeline.published())
        backup(settings, file)
        with pytest.raises(HomeError, match="runs, expected it stopped"):
            restore(settings, file)
    return taken


def test_a_destroyed_home_is_restored_and_goes_on(taken: Taken) -> None:
    file, settings, before = taken.file, taken.settings, taken.rows
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [path.name for path in file.parent.iterdir()] == [file.name]

    with pytest.raises(HomeError, match="holds clicks already"):
        restore(settings, file)
    shutil.rmtree(settings.home)
    settings.home.mkdir()
    assert restore(settings, file) == "Restored"

    with stacks.up(settings) as started:
        pipeline = Harness(started.pipeline)
        pipeline.settle()
        assert rows(pipeline) == before
        assert pipeline.published() == taken.published
        generate(
            started.pipeline.bootstrap_servers, rate=1, duration=0, backfill_hours=0.1
        )
        gone = next(iter(before["purchase_first_clicks"]))
        assert isinstance(gone, tuple)
        pipeline.send("purchases", gone[0].encode(), None)
        pipeline.settle()
        assert pipeline.sql_differences() == {}
        after = rows(pipeline)
        assert gone not in after["purchase_first_clicks"]
        assert len(after["stg_clicks"]) > len(before["stg_clicks"])
        assert before["stg_clicks"] < after["stg_clicks"]
        pipeline.close()


def test_a_backup_is_restored_beside_a_kafka_that_holds_other_messages(
    taken: Taken, make_home: Callable[[], Path]
) -> None:
    """It holds more of them than the old one, so that offsets prove nothing."""
    settings = Settings.load().model_copy(update={"home": make_home()})
    with stacks.up(settings, servers_only=True) as started:
        generate(
            started.pipeline.bootstrap_servers, rate=1, duration=0, backfill_hours=0.5
        )
    restore(settings, taken.file)
    with (
        stacks.up(settings) as started,
        contextlib.closing(Harness(started.pipeline)) as pipeline,
    ):
        pipeline.settle()
        for topic in ("clicks", "purchases"):
            table = sql.Identifier(f"raw_{topic}")
            held = dict(
                pipeline.database.execute(
                    sql.SQL("select event_key, payload from {}").format(table)
                ).fetchall()
            )
            sent = {
                message.key: message.value
                for message in oracle.latest(pipeline.messages())
                if message.topic == topic
            }
            assert sent.items() <= held.items()
            assert len(sent) > len(taken.rows[f"stg_{topic}"])
        found = rows(pipeline)
        for relation in ("stg_clicks", "stg_purchases"):
            assert taken.rows[relation] < found[relation]
        checkouts = {row["purchase_id"] for row in pipeline.checkouts()}
        assert taken.published.keys() <= checkouts == pipeline.published().keys()
        assert pipeline.sql_differences() == {}


def test_a_backup_of_nothing_and_from_nothing_is_one_clear_error(
    servers: Pipeline, make_home: Callable[[], Path], tmp_path: Path
) -> None:
    settings = Settings.load().model_copy(update={"home": make_home()})
    with pytest.raises(ServerError, match="nothing runs in"):
        backup(settings, tmp_path / "shop.backup")
    with pytest.raises(HomeError, match="is not there, expected a file"):
        restore(settings, tmp_path / "shop.backup")
    given = settings.model_copy(
        update={
            "database_url": servers.database_url,
            "kafka_bootstrap_servers": servers.bootstrap_servers,
            "schema_name": "restored",
        }
    )
    (tmp_path / "shop.backup").write_text("no backup")
    with pytest.raises(HomeError, match="not appear to be"):
        restore(given, tmp_path / "shop.backup")

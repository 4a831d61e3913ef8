"""The pipeline copes with other sessions and objects in its database."""

from collections.abc import Iterator

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from firstclick.core.home import Home
from firstclick.core.pipeline import Pipeline
from firstclick.core.settings import Settings
from firstclick.deploy.embedded import Deployer
from firstclick.verify import verify
from firstclick_generator import generate
from harness import Harness


@pytest.fixture
def pipeline(stack: Pipeline) -> Iterator[Harness]:
    pipeline = Harness(stack)
    some_events(pipeline, 1)
    yield pipeline
    pipeline.close()


def some_events(pipeline: Harness, seed: int) -> None:
    generate(
        pipeline.stack.bootstrap_servers,
        rate=5,
        duration=0,
        anomaly_rate=0.1,
        backfill_hours=0.1,
        seed=seed,
    )
    pipeline.settle()


@pytest.fixture
def deployer(stack: Pipeline) -> Deployer:
    return Deployer(
        Home(stack.home), stack.database_url, stack.schema_name, stack.topic_prefix
    )


def test_up_computes_again_what_passed_triggers_by(
    pipeline: Harness, deployer: Deployer
) -> None:
    settings = Settings.load().model_copy(update={"home": pipeline.stack.home})
    deployer.deploy()
    assert deployer.deploy().startswith("Models up to date")
    assert verify(settings, sample=10).triggers == []
    pipeline.database.execute("alter table raw_purchases disable trigger user")
    pipeline.database.execute("delete from raw_purchases where kafka_offset % 2 = 0")
    pipeline.database.execute("alter table raw_purchases enable trigger user")
    assert pipeline.sql_differences() != {}
    found = verify(settings, sample=10)
    assert not found.equal
    assert any("raw_purchases: the trigger" in problem for problem in found.triggers)
    said = deployer.deploy()
    assert "with what passed triggers by; firstclick.raw_purchases: the trigger" in said
    assert pipeline.sql_differences() == {}
    assert verify(settings, sample=10).triggers == []
    assert deployer.deploy().startswith("Models up to date")
    some_events(pipeline, 2)
    assert pipeline.sql_differences() == {}


def test_a_full_refresh_puts_right_what_no_trigger_tells_of(pipeline: Harness) -> None:
    pipeline.database.execute("update minute_revenue set revenue = 0")
    pipeline.database.execute("create view mine as select * from minute_revenue")
    assert pipeline.sql_differences() != {}
    done = pipeline.dbt("run", "--target", "embedded", "--full-refresh")
    assert done.returncode == 0, done.stdout
    assert pipeline.sql_differences() == {}
    pipeline.database.execute("drop view mine")


PUBLICATIONS = {
    "a table": "for table firstclick.checkouts",
    "a schema": "for tables in schema firstclick, firstclick_maintenance",
    "all tables": "for all tables",
}


@pytest.mark.parametrize("of", PUBLICATIONS)
def test_events_flow_into_what_is_published(
    pipeline: Harness, servers: Pipeline, of: str
) -> None:
    superuser = make_conninfo(
        servers.database_url,
        user="postgres",
        password=Home(servers.home).password("superuser"),
    )
    with psycopg.connect(superuser, autocommit=True) as connection:
        connection.execute(f"create publication mine {PUBLICATIONS[of]}".encode())
        try:
            some_events(pipeline, 3)
            # Updates and deletes, which need a replica identity to be published
            pipeline.database.execute("update products set price = price + 1")
            for (key,) in pipeline.query("select event_key from raw_clicks limit 5"):
                pipeline.send("clicks", key, None)
            pipeline.settle()
            assert pipeline.sql_differences() == {}
        finally:
            connection.execute("drop publication mine")
            pipeline.database.execute("update products set price = price - 1")

"""The metrics for Prometheus agree with the database and with Kafka."""

import re
import time
import urllib.request
from importlib.metadata import version
from pathlib import Path

from browsing import Site
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from firstclick.core.home import Home
from firstclick.dashboard.definition import DIRECTORY
from firstclick_generator import generate
from harness import Harness
from worker_world import eventually


class Scrape:
    """The metrics of one answer from ``/metrics``."""

    def __init__(self, text: str) -> None:
        self.families: list[Metric] = list(text_string_to_metric_families(text))
        self._samples = {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in self.families
            for sample in family.samples
        }

    def __getitem__(self, name: str) -> float:
        """Return the sum of a metric's samples."""
        return self.sum(name)

    def sum(self, name: str, **labels: str) -> float:
        """Return the sum of the samples that have these labels, and maybe others."""
        wanted = labels.items()
        return sum(
            value
            for (found, has), value in self._samples.items()
            if found == name and wanted <= has
        )

    def labels(self, name: str, label: str) -> set[str]:
        return {dict(has)[label] for found, has in self._samples if found == name}


def scrape(pipeline: Harness) -> Scrape:
    """Fetch the metrics from the stack's page."""
    with urllib.request.urlopen(f"{pipeline.stack.live_url}metrics") as answer:
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        return Scrape(answer.read().decode())


Figures = dict[tuple[str, ...], float]


def counted(found: Scrape) -> Figures:
    """Return the counters: messages by topic, in batches, and published."""
    carried = "firstclick_connector_messages_total"
    return {
        ("clicks",): found.sum(carried, topic="clicks"),
        ("purchases",): found.sum(carried, topic="purchases"),
        ("batches",): found["firstclick_connector_batch_size_messages_sum"],
        ("checkouts",): found["firstclick_publisher_messages_total"],
    }


def held(pipeline: Harness) -> Figures:
    """Return the same figures as Kafka has them."""
    clicks, purchases, checkouts = (
        float(sum(pipeline.ends(topic).values()))
        for topic in ("clicks", "purchases", "checkouts")
    )
    return {
        ("clicks",): clicks,
        ("purchases",): purchases,
        ("batches",): clicks + purchases,
        ("checkouts",): checkouts,
    }


def told_of(found: Scrape, figures: Figures) -> Figures:
    """Return the gauges for the outcomes and partitions of ``figures``."""
    events, offsets = "firstclick_events", "firstclick_connector_next_offset"
    return {
        (topic, part): found.sum(offsets, topic=topic, partition=part)
        if part.isdigit()
        else found.sum(events, topic=topic, outcome=part)
        for topic, part in figures
    }


def stored(pipeline: Harness) -> Figures:
    """Return events by outcome from the database, and Kafka's end offsets."""
    found: Figures = {}
    for topic, accepted, rejected in pipeline.query(
        "select topic, accepted, rejected from pipeline_health"
    ):
        found[topic, "accepted"] = accepted
        found[topic, "rejected"] = rejected
        for number, end in pipeline.ends(topic).items():
            found[topic, str(number)] = end
    return found


def test_the_metrics_are_what_the_database_and_kafka_say(pipeline: Harness) -> None:
    began = time.time()

    def of_now() -> Scrape | None:
        found = scrape(pipeline)
        left = "firstclick_metrics_timestamp_seconds"
        ages = [found.sum(left, process=name) for name in ("connector", "publisher")]
        return found if min(ages) > began else None

    before = counted(eventually(of_now, "all that was counted is told"))
    held_before = held(pipeline)
    generate(pipeline.stack.bootstrap_servers, rate=300, duration=1, anomaly_rate=0.2)
    pipeline.settle()

    def agree() -> bool:
        found, now = scrape(pipeline), held(pipeline)
        new = {name: count - before[name] for name, count in counted(found).items()}
        expected = {name: count - held_before[name] for name, count in now.items()}
        figures = stored(pipeline)
        return (
            new == expected
            and told_of(found, figures) == figures
            and found["firstclick_connector_lag_messages"] == 0
        )

    eventually(agree, "the metrics are what the database and Kafka say")
    found = scrape(pipeline)
    assert found.sum("firstclick_events", outcome="rejected") > 0
    batches = found["firstclick_connector_batch_size_messages_count"]
    assert batches == found["firstclick_connector_batch_duration_seconds_count"] > 0
    assert found["firstclick_expire_last_pass_timestamp_seconds"] > 0
    assert 0 <= found.sum("firstclick_freshness_seconds", topic="clicks") < 60


def test_the_metrics_tell_what_runs_and_which_version(pipeline: Harness) -> None:
    state = Home(pipeline.stack.home).state
    assert state is not None
    found = scrape(pipeline)
    assert found.labels("firstclick_process_up", "process") == state.children.keys()
    assert found["firstclick_process_up"] == len(state.children)
    assert found["firstclick_process_restarts_total"] == sum(
        child.restarts for child in state.children.values()
    )
    assert found.labels("firstclick_build_info", "version") == {version("firstclick")}
    assert found.labels("firstclick_engine_info", "engine") == {"PostgreSQL"}
    left = {"connector", "expire", "publisher", "supervisor"}
    assert found.labels("firstclick_metrics_timestamp_seconds", "process") == left


def test_the_metrics_are_named_and_explained_as_prometheus_has_it(
    pipeline: Harness,
) -> None:
    families = scrape(pipeline).families
    assert len({family.name for family in families}) == len(families) > 15
    page = (DIRECTORY.parents[1] / "docs" / "reference" / "metrics.md").read_text()
    for family in families:
        assert family.name.startswith("firstclick_")
        assert re.search(rf"`{family.name}(_total)?`", page)
        assert family.documentation.endswith(".")
        assert family.type in ("counter", "gauge", "histogram")
        assert all(
            sample.name.endswith("_total") == (family.type == "counter")
            for sample in family.samples
        )
        assert all(unit not in family.name for unit in ("_ms", "_milli", "_minutes"))


def test_a_page_without_workers_tells_what_the_database_knows(
    pipeline: Harness, site: Site
) -> None:
    found = Scrape(site.ask("/metrics")[1])
    assert found["firstclick_database_up"] == 1
    assert found["firstclick_events"] > 0
    assert not any("connector" in family.name for family in found.families)


def test_without_a_database_the_metrics_say_so(
    pipeline: Harness, tmp_path: Path
) -> None:
    away = "postgresql://nobody@127.0.0.1:1/none"
    with Site(pipeline.stack, tmp_path / "log", DATABASE_URL=away) as site:
        status, text, _ = site.ask("/metrics")
    found = Scrape(text)
    assert (status, found["firstclick_database_up"]) == (200, 0)
    assert found["firstclick_events"] == 0
    assert found.labels("firstclick_build_info", "version") == {version("firstclick")}

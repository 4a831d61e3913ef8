"""Kafka and PostgreSQL under the supervisor."""

import psycopg
from confluent_kafka.admin import AdminClient

from firstclick.stack import Stack


def test_both_servers_answer_and_the_topics_are_there(servers: Stack) -> None:
    with psycopg.connect(servers.database_url) as connection:
        assert connection.info.server_version >= 180000
    client = AdminClient({"bootstrap.servers": servers.bootstrap_servers})
    topics = client.list_topics(timeout=10).topics
    assert {"clicks", "purchases", "checkouts"} <= topics.keys()

"""The session's stack for the tests of a file."""

from collections.abc import Iterator

import psycopg
import pytest

from firstclick.stack import Stack


@pytest.fixture(scope="module")
def stack(stack: Stack) -> Iterator[Stack]:
    """The session's, left without events: what later files do computes with all."""
    yield stack
    with psycopg.connect(
        stack.database_url, options=f"-c search_path={stack.schema_name}"
    ) as connection:
        connection.execute("delete from raw_clicks; delete from raw_purchases")

"""The session's stack, emptied for each test file."""

import psycopg
import pytest

from firstclick.core.pipeline import Pipeline


@pytest.fixture(scope="module")
def stack(stack: Pipeline) -> Pipeline:
    """Return the session's stack without the events of earlier test files."""
    with psycopg.connect(
        stack.database_url, options=f"-c search_path={stack.schema_name}"
    ) as connection:
        connection.execute("delete from raw_clicks; delete from raw_purchases")
    return stack

"""The session's stack for the tests of a file."""

import psycopg
import pytest

from firstclick.core.pipeline import Pipeline


@pytest.fixture(scope="module")
def stack(stack: Pipeline) -> Pipeline:
    """The session's, without the events of files that came before."""
    with psycopg.connect(
        stack.database_url, options=f"-c search_path={stack.schema_name}"
    ) as connection:
        connection.execute("delete from raw_clicks; delete from raw_purchases")
    return stack

"""The database URL of a role, derived from the owner's URL."""

import pytest

from firstclick.servers.roles import role_of, role_url


def test_it_is_grafana_in_the_usual_schema_and_another_role_in_another() -> None:
    assert role_of("grafana", "firstclick") == "grafana"
    assert role_of("grafana", "shop") == "grafana_shop"


@pytest.mark.parametrize(
    ("owner", "reader"),
    [
        (
            "postgresql://me:secret@host:5433/shop?sslmode=require",
            "postgresql://grafana:a%2Fb%40c@host:5433/shop?sslmode=require",
        ),
        (
            "postgres://[::1]:5432/shop?user=me&password=secret",
            "postgres://grafana:a%2Fb%40c@[::1]:5432/shop",
        ),
        # Without a database name, libpq uses the user's name
        ("postgresql://me@host", "postgresql://grafana:a%2Fb%40c@host/me"),
        (
            "postgresql://me:secret@one:1,two:2/my%20shop",
            "postgresql://grafana:a%2Fb%40c@one:1,two:2/my%20shop",
        ),
    ],
)
def test_it_is_the_owners_with_another_user_and_password(
    owner: str, reader: str
) -> None:
    assert role_url(owner, "grafana", "a/b@c") == reader

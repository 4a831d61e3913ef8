"""A seed that isn't UTF-8 is an error that names the line and the key."""

import pytest

from dbt_firstclick import place_of_other_bytes

HEADER = b"user_id,name\n"


@pytest.mark.parametrize(
    ("content", "place"),
    [
        (b"", None),
        ("\ufeffuser_id,näme\nU1,Zoë\n".encode(), None),
        (HEADER + b"U1,Ann\nU2,Zo\xeb\n", "line 3, user_id 'U2'"),
        (HEADER + b"U1,Ann\nU2,Zo\xeb", "line 3, user_id 'U2'"),
        (HEADER + b'U1,"An\r\nn"\r\n\r\nU2,"Z\no\xeb"\n', "line 6, user_id 'U2'"),
        (HEADER + b"U\xfc1,Ann\n", "line 2, user_id 'U\ufffd1'"),
        (HEADER + b"\xfc\n", "line 2, user_id '\ufffd'"),
        (b"user_id,n\xe4me\nU1,Ann\n", "line 1"),
        ("user_id,name\nU1,Ann\n".encode("utf-16"), "line 1"),
    ],
)
def test_bytes_that_are_not_utf8_have_a_line_and_a_key(
    content: bytes, place: str | None
) -> None:
    assert place_of_other_bytes(content) == place

"""SQL and the oracle agree on which payloads are JSON objects, and on their numbers."""

from datetime import UTC, datetime
from decimal import Decimal

import pytest
from project_at_work import ProjectAtWork

from conformance.malformed import malformed
from firstclick import oracle

READ = ("quantity", "discount", "shipping_cost", "total_cost", "extra")


def test_any_message_is_the_object_that_the_oracle_reads(
    deployed: ProjectAtWork,
) -> None:
    payloads = [
        message.value
        for message in malformed(
            datetime.now(UTC), implementation_defined=True, keyless=False
        )
        if message.value is not None
    ]
    with deployed.connect() as connection:
        for payload in payloads:
            ((document, *types),) = connection.execute(
                f"""
                select jsonb_typeof(document), {
                    ", ".join(
                        f"jsonb_typeof(document -> '{name}'), document ->> '{name}'"
                        for name in READ
                    )
                }
                from {deployed.schema}_maintenance.document(%s) as document
                """.encode(),
                [payload],
            ).fetchall()
            expected = oracle.json_object(payload)
            assert (document == "object") == (expected is not None), payload
            for name, kind, text in zip(READ, types[::2], types[1::2], strict=True):
                value = None if expected is None else expected.get(name)
                if not isinstance(value, Decimal):
                    assert kind != "number", payload
                elif kind == "number":
                    assert Decimal(text) == value, payload
                else:
                    # Too large or too precise for numeric, and so for any field
                    assert (kind, text) == ("boolean", "true"), payload
                    assert (
                        abs(value.adjusted()) > 131_071 or value.as_tuple()[2] < -16_383
                    )


@pytest.mark.parametrize(
    "payload",
    [
        b'{"a": 1e200000, "b": "' + b"x" * 900_000 + b'"}',
        b'{"a": 1e200000, "b": "' + rb"\"" * 400_000 + b'"}',
        b'{"a": [' + b"1e200000," * 90_000 + b"1]}",
        b'{"a": 1e200000, "b": "' + rb"\"" * 400_000,
        b'{"a": 1e' + b"9" * 900_000 + b"}",
        b'{"a": 1e200000' + b" " * 900_000 + b"}",
    ],
)
def test_a_huge_message_of_huge_numbers_is_read_in_seconds(
    deployed: ProjectAtWork, payload: bytes
) -> None:
    with deployed.connect() as connection:
        connection.execute("set statement_timeout = '20s'")
        connection.execute(
            f"select {deployed.schema}_maintenance.document(%s)".encode(), [payload]
        )

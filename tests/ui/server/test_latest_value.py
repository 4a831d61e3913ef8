"""Latest values, tested without a server: nothing queues up for a slow viewer."""

import asyncio
import itertools
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor

from firstclick.dashboard.server.latest_value import LatestValue, Watcher


def run(look: Coroutine[None, None, list[bytes]]) -> list[bytes]:
    # In another thread, because Playwright's event loop runs in this one
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, look).result()


def test_who_is_slow_gets_the_latest_value_alone() -> None:
    async def look() -> list[bytes]:
        value = LatestValue("panel")
        value.publish("first")
        with Watcher([value]) as watcher:
            messages = watcher.messages(silence=60)
            seen = [await anext(messages), await anext(messages)]
            for number in range(1000):
                value.publish(number)
            seen.append(await anext(messages))
            value.publish("last")
            seen.append(await anext(messages))
        assert value.watchers == set()
        return seen

    beat, *values = run(look())
    assert beat.startswith(b"event: beat\ndata: ")
    assert values == [
        b'event: panel\ndata: "first"\n\n',
        b"event: panel\ndata: 999\n\n",
        b'event: panel\ndata: "last"\n\n',
    ]


def test_a_value_that_is_the_same_is_not_sent_again() -> None:
    async def look() -> list[bytes]:
        value = LatestValue("panel")
        with Watcher([value]) as watcher:
            messages = watcher.messages(silence=0.01)
            value.publish([1, 2])
            seen = [await anext(messages), await anext(messages)]
            value.publish([1, 2])
            seen.append(await anext(messages))
        return seen

    events = [message.partition(b"\n")[0] for message in run(look())]
    assert events == [b"event: beat", b"event: panel", b"event: beat"]


def test_a_value_is_encoded_once_for_all_who_watch() -> None:
    value = LatestValue("panel")
    value.publish([1])
    first, second = (value.message for _ in range(2))
    assert first is second
    for one, other in itertools.pairwise(range(3)):
        value.publish([one, other])
    assert value.message == b"event: panel\ndata: [1,2]\n\n"

"""Screenshots of both dashboards at work, for the README.

``python -m pictures.dashboards DIRECTORY`` starts a stack in FIRSTCLICK_HOME, sends it
two hours of a shop's past, goes on in real time, and stops it again. You need
Playwright, from the development requirements, and Chromium. If the font Inter is
installed, the pictures use it.
"""

import io
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

from confluent_kafka.admin import (  # type: ignore[attr-defined]
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)
from PIL import Image
from playwright.sync_api import Browser, expect, sync_playwright

from firstclick.core.cluster import Cluster
from firstclick.core.errors import FirstClickError
from firstclick.core.pipeline import Pipeline
from firstclick.core.settings import Settings
from firstclick.operate import stack as stacks
from firstclick_generator import SEEDS, Product, Shop, User, deliveries, read_rows
from pictures.chromium import need_chromium

RATE = 60.0
"""The shop's events per second, in its past and its present."""
HOURS = 2.2
"""How much of the shop's past to send first."""
SEED = 20
SEND_SECONDS, CATCH_UP_SECONDS = 120, 180
"""How long sending the past may take, and how long until a dashboard shows it."""

PICTURES = {
    "dashboard-insights": ("firstclick-insights", 1440, "light"),
    "dashboard-insights-dark": ("firstclick-insights", 1440, "dark"),
    "dashboard-insights-phone": ("firstclick-insights", 390, "light"),
    "dashboard-pipeline": ("firstclick-pipeline", 1440, "light"),
    "dashboard-pipeline-dark": ("firstclick-pipeline", 1440, "dark"),
    "dashboard-pipeline-phone": ("firstclick-pipeline", 390, "dark"),
}
"""By file name: the dashboard, the page's width in pixels, and the theme."""

_FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
<include ignore_missing="yes">/etc/fonts/fonts.conf</include>
<match target="pattern">
<edit name="family" mode="prepend" binding="strong"><string>Inter</string></edit>
</match>
</fontconfig>
"""


def main() -> int:
    """Take the screenshots; return the exit status."""
    directory = Path(sys.argv[1])
    try:
        chromium = need_chromium()
        settings = Settings.load()
        with (
            stacks.up(settings.isolated(settings.home)) as started,
            feeding(started.pipeline),
        ):
            take(started.pipeline, chromium, directory)
    except FirstClickError as error:
        print(f"screenshots: {error}", file=sys.stderr)
        return 1
    return 0


@contextmanager
def feeding(stack: Pipeline) -> Iterator[None]:
    """Send a shop's past, then its present for as long as the block runs."""
    admin = AdminClient({"bootstrap.servers": stack.bootstrap_servers})
    # Kafka takes the producer's timestamps, so that past messages are past there too
    by_producer = ConfigEntry(
        "message.timestamp.type",
        "CreateTime",
        incremental_operation=AlterConfigOpType.SET,
    )
    topics = [
        ConfigResource(ResourceType.TOPIC, name, incremental_configs=[by_producer])
        for name in ("clicks", "purchases")
    ]
    for future in admin.incremental_alter_configs(topics).values():
        future.result(30)
    stop, caught_up = threading.Event(), threading.Event()
    sender = threading.Thread(
        target=_send, args=(stack.bootstrap_servers, stop, caught_up)
    )
    sender.start()
    try:
        caught_up.wait(SEND_SECONDS)
        yield
    finally:
        stop.set()
        sender.join()


def _send(servers: str, stop: threading.Event, caught_up: threading.Event) -> None:
    users = read_rows(SEEDS / "users.csv", User)
    products = read_rows(SEEDS / "products.csv", Product)
    start = time.time()
    events = Shop(SEED, users, products).events(
        start - HOURS * 3600, start + 3600, RATE, rate_at=start
    )
    producer = Cluster(servers).producer({"linger.ms": 5})
    for message in deliveries(events, Random(SEED), 0.01):
        wait = message.at / 1000 - time.time()
        if wait > 0:
            caught_up.set()
        if stop.wait(max(wait, 0)):
            break
        while True:
            try:
                producer.produce(
                    message.topic, message.payload, message.key, timestamp=message.at
                )
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    producer.flush(10)


def take(stack: Pipeline, chromium: str, directory: Path) -> None:
    """Wait until the pipeline has caught up, then take all screenshots."""
    with tempfile.TemporaryDirectory() as temporary:
        fonts = Path(temporary) / "fonts.conf"
        fonts.write_text(_FONTS)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=chromium,
                args=["--no-sandbox"],
                env={**os.environ, "FONTCONFIG_FILE": str(fonts)},
            )
            for name, (uid, width, theme) in PICTURES.items():
                address = f"{stack.live_url}d/{uid}"
                picture = _picture(browser, address, width, theme)
                (directory / f"{name}.png").write_bytes(picture)
            browser.close()


def _picture(browser: Browser, address: str, width: int, theme: str) -> bytes:
    narrow = width < 600
    page = browser.new_page(
        viewport={"width": width, "height": 844 if narrow else 900},
        device_scale_factor=2 if narrow else 1,
        color_scheme="dark" if theme == "dark" else "light",
        locale="en-US",
    )
    page.goto(address)
    expect(page.locator("#state")).to_have_text("Live", timeout=CATCH_UP_SECONDS * 1000)
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    expect(page.locator("canvas").first).to_be_visible()
    taken = page.screenshot(full_page=not narrow)
    page.close()
    return _smaller(taken)


def _smaller(png: bytes) -> bytes:
    output = io.BytesIO()
    with Image.open(io.BytesIO(png)) as picture:
        few = picture.convert("RGB").quantize(256, dither=Image.Dither.NONE)
        few.save(output, "PNG", optimize=True)
    return output.getvalue()


if __name__ == "__main__":
    sys.exit(main())

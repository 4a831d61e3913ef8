"""The picture of the demo for the README."""

import re
from xml.etree import ElementTree

from firstclick.demo.view import Frame
from firstclick.demo.watch import Snapshot
from pictures.terminal import draw


def test_the_picture_loads_nothing_from_elsewhere() -> None:
    snapshot = Snapshot(1, 1, 1, 0, 1, 1, (1, 1), None, None)
    drawn = draw(snapshot, Frame("an address", 500, None))
    ElementTree.fromstring(drawn)
    assert "an&#160;address" in drawn
    assert set(re.findall(r"\w+://[^\"')\s<]+", drawn)) == {
        "http://www.w3.org/2000/svg"
    }
    assert "@font-face" not in drawn
    assert re.findall(r"url\((?!#)", drawn) == []

"""The page of ``xpnet draw`` in a real browser, where Playwright and Chromium are installed.

``XPNET_WRITE_PICTURES=1 pytest tests/cli/test_draw_page.py`` writes docs/pictures/draw.png.
"""

import os
import shutil
import threading
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from xpnet import load, predict_proba
from xpnet.cli.draw_server import DrawServer

PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "draw.png"
# A three, as a person may draw it: strokes on a pad whose side is 1.
THREE = [
    [(0.36, 0.29), (0.43, 0.23), (0.55, 0.22), (0.64, 0.29), (0.62, 0.42), (0.5, 0.5), (0.43, 0.5)],
    [(0.5, 0.5), (0.62, 0.56), (0.66, 0.66), (0.6, 0.76), (0.47, 0.78), (0.36, 0.71)],
]
PIXELS = """() => Array.from(seen.getContext("2d").getImageData(0, 0, 28, 28).data)"""
ROWS = """rows => rows.map(row => {
    const [name, track, number] = row.children;
    return [name.textContent, track.firstChild.offsetWidth / track.offsetWidth, number.textContent];
})"""


@contextmanager
def page_of(names=tuple("0123456789"), error=None, **options):
    """Open the page of a new server in Chromium; it must load nothing else, and print nothing."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("neither chromium nor google-chrome is installed")
    facts = {"side": 28, "names": names, "about": "sample: 784 -> 50 sigmoid -> 100 sigmoid -> 10"}
    requests, printed = [], []
    with DrawServer(0, facts, load("sample")) as server, api.sync_playwright() as playwright:
        if error is not None:
            server.classify = error
        threading.Thread(target=partial(server.serve_forever, 0.01), daemon=True).start()
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        page = browser.new_page(**{"viewport": {"width": 992, "height": 660}, **options})
        page.on("request", lambda request: requests.append(request.url))
        page.on("console", lambda message: printed.append(message.text))
        page.on("pageerror", lambda fault: printed.append(str(fault)))
        page.goto(server.address)
        yield page
        browser.close()
        server.shutdown()
    assert set(requests) <= {server.address, f"{server.address}predict"}
    assert [text for text in printed if error is None or "500" not in text] == []


def draw_three(page, *, by_finger=False):
    session, box = page.context.new_cdp_session(page), page.locator("#pad").bounding_box()
    for stroke in THREE:
        for number, (x, y) in enumerate(stroke):
            place = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
            if by_finger:
                event = {"type": "touchMove" if number else "touchStart", "touchPoints": [place]}
                session.send("Input.dispatchTouchEvent", event)
            else:
                page.mouse.move(**place)
                page.mouse.down()
        if by_finger:
            session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        page.mouse.up()
    page.wait_for_function("() => !isAsking")


def words(page):
    return page.get_by_role("status").inner_text().split("\n")


def test_a_digit_by_mouse():
    with page_of(color_scheme="light") as page:
        draw_three(page)
        assert words(page) == ["Prediction", "3", "almost certain"]
        if os.environ.get("XPNET_WRITE_PICTURES"):
            page.screenshot(path=PICTURE)
        picture = np.array(page.evaluate(PIXELS), np.uint8).reshape(28, 28, 4)[..., 0]
        expected = predict_proba(load("sample"), picture.reshape(1, -1))[0]
        names, widths, numbers = zip(*page.eval_on_selector_all("#bars li", ROWS), strict=True)
        assert "".join(names) == "0123456789"
        np.testing.assert_allclose(widths, expected, atol=0.01)  # parts of a pixel are rounded
        assert list(numbers) == [f"{100 * x:.1f}%" for x in expected]
        # As in MNIST: 20 pixels of ink, its centre of mass in the centre.
        ink = picture / 255
        assert 19 <= np.ptp(np.flatnonzero(ink.any(axis=1))) + 1 <= 22
        centre = [(ink * (index + 0.5)).sum() / ink.sum() for index in np.indices(ink.shape)]
        np.testing.assert_allclose(centre, [14, 14], atol=0.15)
        page.get_by_role("button", name="Clear").click()
        page.wait_for_function("() => !isAsking")
        assert words(page) == ["Prediction", "\N{EN DASH}", "nothing is drawn yet"]


def test_a_digit_by_finger():
    phone = {"width": 390, "height": 844}
    with page_of(viewport=phone, has_touch=True, is_mobile=True, color_scheme="dark") as page:
        draw_three(page, by_finger=True)
        assert words(page)[1] == "3"
        # The page did not move under the finger, and fits.
        assert page.evaluate("[scrollY, document.documentElement.scrollWidth]") == [0, 390]


def test_faults_are_shown_and_names_are_text():
    def fail(_):
        msg = "the device is <b>gone</b>"
        raise RuntimeError(msg)

    with page_of(["ANNONCE", "<b>'\"FACTS</b>", "</script>"], fail) as page:
        draw_three(page)
        assert words(page) == ["No prediction", "the device is <b>gone</b>"]
        names = [row[0] for row in page.eval_on_selector_all("#bars li", ROWS)]
        assert names == ["ANNONCE", "<b>'\"FACTS</b>", "</script>"]
        assert page.locator("h1").inner_text() == "Draw a picture"

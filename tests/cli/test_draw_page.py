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

from xpnet import load, predict_proba, sample
from xpnet.cli.draw import probabilities
from xpnet.cli.draw_server import DrawServer

PICTURE = Path(__file__).parents[2] / "docs" / "pictures" / "draw.png"
# Bars have their width at once.
OPTIONS = {"viewport": {"width": 1280, "height": 800}, "reduced_motion": "reduce"}
NOTHING = "\N{EN DASH}"
ROWS = """rows => rows.map(row => {
    const [name, track, number] = row.children;
    return [name.textContent, track.firstChild.offsetWidth / track.offsetWidth, number.textContent];
})"""
PIXELS = """() => {
    const copy = new OffscreenCanvas(side, side).getContext("2d", {willReadFrequently: true});
    copy.drawImage(seen, 0, 0);
    return Array.from(copy.getImageData(0, 0, side, side).data);
}"""
# Strokes on a grid from 0 to 10, as a person may draw the digits.
STROKES = {
    0: ["5,1 3,2 2,5 3,8 5,9 7,8 8,5 7,2 5,1"],
    1: ["5,1 5,3 5,5 5,7 5,9"],
    2: ["3,3 4,1 6,1 7,3 6,5 4,7 2,9", "2,9 5,9 8,9"],
    3: ["3,2 5,1 7,2 7,4 5,5 4,5", "5,5 7,6 7,8 5,9 3,8"],
    4: ["4,1 3,3 2,6 5,6 8,6", "7,2 7,5 7,9"],
    5: ["7,1 5,1 4,1 3,5 5,4 7,5 7,7 6,9 4,9 3,8"],
    6: ["6,1 4,3 3,6 4,8 6,9 7,7 6,6 4,6 3,7"],
    7: ["2,1 5,1 8,1 6,5 5,9"],
    8: ["5,5 3,3 4,1 6,1 7,3 5,5 3,7 4,9 6,9 7,7 5,5"],
    9: ["7,3 5,1 3,3 4,5 6,5 7,3 7,6 6,9"],
}


@contextmanager
def serving(classify, n_bytes, facts):
    with DrawServer(0, facts, n_bytes, classify) as server:
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        try:
            yield server.address
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(scope="module")
def chromium():
    """Return a running browser."""
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = shutil.which("chromium") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("neither chromium nor google-chrome is installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def address():
    """Return the address of the page for the embedded network."""
    facts = {"side": 28, "names": list("0123456789"), "isOfDigits": True}
    facts["about"] = "sample: 784 -> 50 sigmoid -> 100 sigmoid -> 10 identity"
    with serving(partial(probabilities, load("sample")), 784, facts) as address:
        yield address


@pytest.fixture
def opened(chromium, address):
    """Return a function that opens the page; it must load nothing else, and print nothing."""
    requests, printed, contexts = [], [], []

    def open_page(url=address, **options):
        context = chromium.new_context(**OPTIONS | options)
        contexts.append(context)
        page = context.new_page()
        page.on("request", lambda request: requests.append((request.method, request.url)))
        page.on("console", lambda message: printed.append(message.text))
        page.on("pageerror", lambda error: printed.append(str(error)))
        page.goto(url)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert {url for _, url in requests} <= {address, f"{address}predict"}
    assert ("GET", address) in requests
    assert printed == []


def points_of(digit, size=0.7, left=0.15, top=0.15):
    """Return the strokes of a digit on a pad whose side is 1, with round corners."""
    for stroke in STROKES[digit]:
        points = np.array([list(map(float, pair.split(","))) for pair in stroke.split()]) / 10
        for _ in range(3):  # each corner is cut (Chaikin)
            before, after = points[:-1], points[1:]
            cut = np.stack([0.75 * before + 0.25 * after, 0.25 * before + 0.75 * after], axis=1)
            points = np.concatenate([points[:1], cut.reshape(-1, 2), points[-1:]])
        yield [left, top] + size * points


def draw_by_mouse(page, digit, **place):
    box = page.locator("#pad").bounding_box()
    for points in points_of(digit, **place):
        for number, (x, y) in enumerate(points):
            page.mouse.move(box["x"] + x * box["width"], box["y"] + y * box["height"])
            if number == 0:
                page.mouse.down()
        page.mouse.up()
    settle(page)


def settle(page):
    page.wait_for_function("() => !isAsking")


def prediction(page):
    return page.locator("#answer b").inner_text().strip()


def bars(page):
    """Return the name, the width of the bar as a part of its track, and the number of each row."""
    return page.eval_on_selector_all("#bars li", ROWS)


def shown_picture(page):
    """Return the small picture of the page as an array."""
    pixels = np.array(page.evaluate(PIXELS)).reshape(28, 28, 4)
    assert (pixels[..., 3] == 255).all()
    assert (pixels[..., :3] == pixels[..., :1]).all()
    return pixels[..., 0]


@pytest.mark.parametrize("digit", [3, 1, 7])
def test_a_drawn_digit(opened, digit):
    page = opened()
    assert prediction(page) == NOTHING
    draw_by_mouse(page, digit)
    assert prediction(page) == str(digit)
    found = shown_picture(page)
    expected = predict_proba(load("sample"), found.astype(np.uint8).reshape(1, -1))[0]
    rows = bars(page)
    assert [name for name, _, _ in rows] == list("0123456789")
    # Browsers round widths to parts of a pixel.
    np.testing.assert_allclose([width for _, width, _ in rows], expected, atol=0.01)
    assert [text for _, _, text in rows] == [f"{100 * x:.1f}%" for x in expected]
    page.get_by_role("button", name="Clear").click()
    settle(page)
    assert (prediction(page), shown_picture(page).max()) == (NOTHING, 0)
    assert [row[1:] for row in bars(page)] == [[0, ""]] * 10


@pytest.mark.slow
@pytest.mark.parametrize(
    "place",
    [
        {"size": 0.9, "left": 0.05, "top": 0.05},
        {"size": 0.25, "left": 0.05, "top": 0.1},
        {"size": 0.4, "left": 0.55, "top": 0.55},
    ],
    ids=["large", "small", "in a corner"],
)
def test_the_place_and_the_size_do_not_matter(opened, place):
    page, found = opened(), []
    for digit in STROKES:
        page.keyboard.press("Escape")
        draw_by_mouse(page, digit, **place)
        found.append(prediction(page))
        ink = shown_picture(page) / 255
        rows, columns = (np.flatnonzero(ink.any(axis=axis)) for axis in (1, 0))
        longest = max(np.ptp(rows), np.ptp(columns)) + 1
        assert 19 <= longest <= 22  # 20 pixels, at any offset to the grid
        centre = [(ink * (index + 0.5)).sum() / ink.sum() for index in np.indices(ink.shape)]
        # Two passes of centring leave a small part of a pixel.
        np.testing.assert_allclose(centre, [14, 14], atol=0.15)
    assert found == list("0123456789")


@pytest.mark.slow
def test_strokes_are_as_wide_as_in_mnist(opened):
    """Compare the mean area of the ink of the ten digits."""
    page, areas = opened(), []
    for digit in STROKES:
        page.keyboard.press("Escape")
        draw_by_mouse(page, digit)
        areas.append(shown_picture(page).sum() / 255)
    mnist = sample()[0].reshape(1000, -1).sum(axis=1).mean() / 255
    # Strokes have 2.5 pixels: a whole pixel more or less would be 40% of the ink.
    assert np.mean(areas) == pytest.approx(mnist, rel=0.15)


def test_bars_move_while_one_draws(opened):
    page = opened()
    box = page.locator("#pad").bounding_box()
    page.mouse.move(box["x"] + 100, box["y"] + 60)
    page.mouse.down()
    page.mouse.move(box["x"] + 100, box["y"] + 300, steps=5)
    page.wait_for_function("() => answer.querySelector('b').textContent.trim() === '1'")
    page.mouse.up()


def test_a_finger(opened):
    page = opened(viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    session = page.context.new_cdp_session(page)
    box = page.locator("#pad").bounding_box()
    for points in points_of(3):
        for number, (x, y) in enumerate(points):
            place = {"x": box["x"] + x * box["width"], "y": box["y"] + y * box["height"]}
            kind = "touchMove" if number else "touchStart"
            session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [place]})
        session.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    settle(page)
    assert prediction(page) == "3"
    assert page.evaluate("scrollY") == 0  # the page did not move under the finger


def test_a_point_and_many_points(opened):
    page = opened()
    page.locator("#pad").click()
    settle(page)
    ink = shown_picture(page) / 255
    assert 3 <= ink.sum() <= 12
    many = "Array.from({length: 5000}, (_, i) => [Math.sin(i) ** 2, Math.sin(i / 7) ** 2])"
    page.evaluate(f"() => {{ strokes = [{many}]; draw(); }}")
    settle(page)
    assert shown_picture(page).max() == 255


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_sizes_and_colours(opened, scheme, width):
    page = opened(viewport={"width": width, "height": 844}, color_scheme=scheme)
    draw_by_mouse(page, 3)
    assert page.evaluate("document.documentElement.scrollWidth") == width
    assert page.locator("#bars").bounding_box()["y"] < 600
    brightness = "getComputedStyle(document.body).{}.match(/\\d+/g).slice(0, 3).map(Number)"
    text, ground = (
        np.mean(page.evaluate(brightness.format(name))) for name in ("color", "backgroundColor")
    )
    assert (text < 60 and ground > 220) if scheme == "light" else (text > 220 and ground < 60)
    page.keyboard.press("Tab")
    button = page.get_by_role("button", name="Clear")
    assert button.evaluate("x => x === document.activeElement")
    assert button.evaluate("x => parseFloat(getComputedStyle(x).outlineWidth)") >= 2
    page.keyboard.press("Enter")
    settle(page)
    assert prediction(page) == NOTHING


def test_a_screen_reader_is_told_the_prediction(opened):
    page = opened()
    assert page.evaluate("document.documentElement.lang") == "en"
    draw_by_mouse(page, 7)
    assert page.get_by_role("status").inner_text().split("\n") == [
        "Prediction",
        "7",
        "almost certain",
    ]
    assert page.get_by_role("img", name="Area to draw in").count() == 1


def test_a_fault_is_shown(opened):
    def classify(_):
        msg = "the device is gone"
        raise RuntimeError(msg)

    facts = {"side": 28, "names": ["cat", "<b>dog</b>"], "isOfDigits": False, "about": "m"}
    page = opened()
    with serving(classify, 784, facts) as address:
        other = page.context.browser.new_page(**OPTIONS)
        other.goto(address)
        draw_by_mouse(other, 1)
        assert other.locator("#answer").inner_text().split("\n") == [
            "No prediction",
            "the device is gone",
        ]
        assert [row[0] for row in bars(other)] == ["cat", "<b>dog</b>"]
        assert other.locator("h1").inner_text() == "Draw a picture"
    draw_by_mouse(other, 7)
    assert "xpnet draw does not answer" in other.locator("#answer").inner_text()
    other.close()


def test_many_classes_with_long_names(opened):
    names = [f"a long name of class number {i} that does not fit" for i in range(40)]
    facts = {"side": 8, "names": names, "isOfDigits": False, "about": "m"}
    page = opened()
    with serving(lambda _: [i / 780 for i in range(40)], 64, facts) as address:
        other = page.context.browser.new_page(
            **OPTIONS | {"viewport": {"width": 390, "height": 844}}
        )
        other.goto(address)
        draw_by_mouse(other, 1)
        assert [row[0] for row in bars(other)] == names[:-11:-1]  # the most probable first
        assert other.evaluate("document.documentElement.scrollWidth") == 390
        other.close()


def test_the_picture_of_the_page(opened):
    page = opened(viewport={"width": 992, "height": 660}, color_scheme="light")
    draw_by_mouse(page, 3)
    if os.environ.get("XPNET_WRITE_PICTURES"):
        page.screenshot(path=PICTURE)
    assert PICTURE.stat().st_size <= 60_000

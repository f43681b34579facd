"""Pictures and folders of pictures as grey images: kinds, sizes, damage, order and labels."""

import io

import numpy as np
import pytest

from xpnet.datasets import read, stream
from xpnet.datasets.picture_files import picture_files
from xpnet.files import DataError, DataWarning

Image = pytest.importorskip("PIL.Image", reason="pictures need Pillow")
GREY = np.arange(12 * 8, dtype=np.uint8).reshape(12, 8)


def packed(array, kind="PNG", mode=None, **options):
    content = io.BytesIO()
    Image.fromarray(array).convert(mode).save(content, kind, **options)
    return content.getvalue()


@pytest.fixture
def fill(tmp_path):
    """Write pictures whose pixels are all their number, from 0; return their folder."""

    def write(*names, shape=(3, 3)):
        for i, name in enumerate(names):
            path = tmp_path / "data" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(np.full(shape, i, np.uint8)).save(path)
        return tmp_path / "data"

    return write


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "WEBP"])
def test_formats(write, kind):
    images, labels = read(write(packed(GREY, kind)))
    assert (images.shape, images.dtype, labels) == ((1, 12, 8), np.uint8, None)
    assert abs(images[0].astype(int) - GREY).max() <= (8 if kind in {"JPEG", "WEBP"} else 0)


PRIMARY = np.eye(3, dtype=np.uint8)[None] * 255  # red, green, blue
CLEAR = np.array([[[0, 0, 0, 255], [0, 0, 0, 51]], [[0, 0, 0, 0]] * 2], np.uint8)
WITHOUT_5 = np.where(GREY == 5, 255, GREY)
FRAMES = {"save_all": True, "append_images": [Image.fromarray(GREY + 50)]}
TURNED = Image.Exif()
TURNED[0x0112] = 6  # to the left


GREYS = [  # a picture and its grey
    (packed(PRIMARY), [[76, 150, 29]]),  # ITU-R 601
    (packed(CLEAR), [[0, 204], [255, 255]]),
    (packed(GREY, transparency=5), WITHOUT_5),
    (packed(GREY, mode="P"), GREY),
    (packed(GREY, mode="P", transparency=5), WITHOUT_5),
    (packed(GREY > 9), 255 * (GREY > 9)),
    (packed(GREY, exif=TURNED), np.rot90(GREY, -1)),
    (packed(GREY, "GIF", **FRAMES), GREY),
]


@pytest.mark.parametrize(("content", "expected"), GREYS, ids=range(len(GREYS)))
def test_what_becomes_grey(write, content, expected):
    assert np.array_equal(read(write(content), invert=False)[0][0], expected)


# Grey of 4 bits with a transparent one, as newer versions of Pillow write it.
FOUR_BITS = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000002000000020400000000922dbff90000000274524e53000506"
    "f939b70000000c49444154789c630864500500011c00777ea760560000000049454e44ae426082"
)


REJECTED = [  # a picture and words of the message
    (packed(GREY, "JPEG", "CMYK"), "JPEG of mode CMYK"),
    (packed(GREY.astype(np.uint16)), "PNG of mode I;16"),
    (packed(GREY, "TIFF"), "cannot identify"),
    (FOUR_BITS, "PNG of mode L"),
    (b"\x89PNG and nothing more", "damaged"),
    (packed(GREY)[:-30], "damaged"),
    (packed(GREY, "JPEG")[:-30], "damaged"),
    (packed(GREY)[:-13] + b"?" + packed(GREY)[-12:], "damaged"),  # a checksum
]


@pytest.mark.parametrize(("content", "words"), REJECTED, ids=range(len(REJECTED)))
def test_what_is_rejected(write, content, words):
    path = write(content)
    with pytest.raises(DataError, match=words) as caught:
        read(path)
    assert caught.value.file == str(path)


def test_the_limit_of_pillow_is_an_error(write, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(DataError, match="exceeds limit"):
        read(write(packed(np.zeros((40, 40), np.uint8))))


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_a_size_keeps_the_form(write, kind):
    pixels = np.full((280, 140), 10, np.uint8)
    pixels[70:210, 35:105] = 250
    (image,), _ = read(write(packed(pixels, kind)), size=28, features=784)
    expected = np.full((28, 28), 10)
    expected[7:21, 11:18] = 250  # half as wide as high, on the grey of the border
    assert np.mean(abs(image.astype(int) - expected) > 60) < 0.05
    assert image[:, (0, -1)].tolist() == [[10, 10]] * 28


def test_pictures_are_never_resized_unless_asked(fill):
    folder = fill("a.png")
    assert read(folder, features=9)[0].shape == (1, 3, 3)
    for path in (folder, folder / "a.png"):
        with pytest.raises(DataError, match=r"784 pixels; got 3 x 3; .* --size 28 .*size=28"):
            read(path, features=784)
    (folder / "b.png").write_bytes(packed(GREY))
    with pytest.raises(DataError, match=r"3 x 3 .* got 8 x 12; .* --size 28 "):
        read(folder)
    assert read(folder, size=4)[0].shape == (2, 4, 4)


def test_bright_background(write):
    with pytest.warns(DataWarning, match=r"bright .* --invert .*invert=True"):
        read(path := write(packed(255 - GREY)))
    assert np.array_equal(read(path, invert=True)[0][0], GREY)


TEXTS = ["1 256", "0 00", "1 ²", "cat Dog_2 dog_10", "小2 小10"]
CLASSES = {"00 01": [0, 1], "0 2 10": [0, 2, 10]} | {names: names.split() for names in TEXTS}


@pytest.mark.parametrize("names", CLASSES)
def test_labels_are_the_names_of_folders(fill, names):
    found = read(fill(*(f"{name}/a.png" for name in reversed(names.split()))))[1]
    assert found.tolist() == CLASSES[names]
    assert found.dtype.kind == ("U" if names in TEXTS else "u")


@pytest.mark.parametrize("name", ["a\udcff", "a\x1b"])
def test_names_of_classes_are_printable(fill, name):
    try:
        folder = fill(f"{name}/a.png", "b/b.png")
    except OSError as error:
        pytest.skip(f"this system has no such name: {error}")
    with pytest.raises(DataError, match=r"class.* 'a\\x"):
        read(folder)
    assert len(next(stream(folder, want_labels=False))[0]) == 2


def test_classes_take_turns(fill, tmp_path):
    names = ("0/a 2.png", "0/a 10.png", "0/B.bmp", "1/d.GIF", "2/e.png", "2/f.webp")
    folder = fill(*names, "2/.g.png", ".hidden/h.png", "3/deep/i.png")
    (folder / "0" / "notes.txt").write_text("text")
    (folder / "4.png").mkdir()
    files = [str(path.relative_to(folder)) for path in picture_files(str(folder))]
    assert files == [names[i] for i in (0, 3, 4, 1, 5, 2)]
    blocks = list(stream(folder, block_rows=4))
    assert [x[:, 0, 0].tolist() for x, _ in blocks] == [[0, 3, 4, 1], [5, 2]]
    assert [y.tolist() for _, y in blocks] == [[0, 1, 2, 0], [2, 0]]
    assert read(folder, rows=5)[1].tolist() == [0, 1, 2, 0, 2]
    assert read(folder, rows=0)[0].shape == (0, 3, 3)
    assert next(stream(folder, want_labels=False))[1] is None
    (tmp_path / "labels.csv").write_text("7\n4\n7\n4\n7\n4\n")
    assert read(folder, labels=tmp_path / "labels.csv")[1].tolist() == [7, 4] * 3


@pytest.mark.parametrize("names", [["a.png", "b/c.png"], ["a/b/c.png"], [".a.png"]])
def test_folders_that_are_unclear(fill, names):
    with pytest.raises(DataError, match="one folder per class"):
        read(fill(*names))

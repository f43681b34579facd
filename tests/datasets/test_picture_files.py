"""Pictures as grey images: formats, sizes, transparency, damage and limits."""

import io
import re
import struct
import sys
import zlib
from types import SimpleNamespace

import numpy as np
import pytest

from xpnet.datasets import read, stream
from xpnet.files import DataError, DataWarning

Image = pytest.importorskip("PIL.Image", reason="pictures need Pillow")
GREY = np.arange(12 * 8, dtype=np.uint8).reshape(12, 8)
KINDS = ("PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF")


def packed(picture, kind="PNG", **options):
    content = io.BytesIO()
    picture.save(content, kind, **options)
    return content.getvalue()


@pytest.fixture
def draw(write):
    """Write a picture of an array, and return its path."""

    def draw_file(array, kind="PNG", name="a", **options):
        return write(packed(Image.fromarray(array), kind, **options), name=name)

    return draw_file


@pytest.mark.parametrize("kind", KINDS)
def test_formats(draw, kind):
    path = draw(GREY, kind)
    images, labels = read(path)
    assert labels is None
    assert images.dtype == np.uint8
    assert images.shape == (1, 12, 8)
    assert abs(images[0].astype(int) - GREY).max() <= (0 if kind not in {"JPEG", "WEBP"} else 8)


def test_a_header_of_csv_is_no_bitmap(write):
    with pytest.raises(DataError, match="no rows below the header"):
        read(write(b"BMI,age,fat\n"))


def test_big_endian_tiff_is_no_idx(write):
    with pytest.raises(DataError, match="damaged, truncated or too large picture"):
        read(write(b"MM\0*\0\0\0\x08"))


def test_first_frame_of_an_animation(write):
    frames = [Image.fromarray(GREY + i) for i in (0, 50)]
    path = write(packed(frames[0], "GIF", save_all=True, append_images=frames[1:]))
    assert np.array_equal(read(path)[0][0], GREY)


def test_colours_become_grey(draw):
    colours = np.zeros((2, 3, 3), np.uint8)
    colours[0, range(3), range(3)] = 255
    assert read(draw(colours))[0][0, 0].tolist() == [76, 150, 29]  # ITU-R 601


def test_sixteen_bits(draw):
    assert np.array_equal(read(draw(GREY.astype(np.uint16) * 257))[0][0], GREY)


def tiff(content, n_bits, photometric, sample_format=1):
    """Return a TIFF file of 12 rows of 8 grey pixels."""
    tags = {256: 8, 257: 12, 258: n_bits, 259: 1, 262: photometric, 273: 8, 278: 12}
    tags |= {279: len(content), 339: sample_format}
    entries = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags.items())
    start = b"II*\0" + struct.pack("<I", 8 + len(content)) + content
    return start + struct.pack("<H", len(tags)) + entries + bytes(4)


@pytest.mark.parametrize(
    ("n_bits", "photometric", "sample_format"),
    [(8, 1, 2), (12, 1, 1), (16, 0, 1), (16, 1, 2), (32, 1, 1), (32, 1, 3)],
)
def test_kinds_of_tiff_that_pillow_mistakes(write, rejected, n_bits, photometric, sample_format):
    content = tiff(bytes(12 * n_bits), n_bits, photometric, sample_format)
    kind = f"TIFF of {n_bits} bits, sample format {sample_format}, photometric {photometric}"
    message = f": kind of picture, found {kind}, convert it to PNG of 8 bits"
    rejected(write(content), message)


@pytest.mark.parametrize(
    ("array", "photometric"),
    [(GREY, 1), (255 - GREY, 0), (GREY.astype("<u2") * 257, 1)],
)
def test_kinds_of_tiff_that_are_read(write, array, photometric):
    path = write(tiff(array.tobytes(), 8 * array.itemsize, photometric))
    assert np.array_equal(read(path)[0][0], GREY)


@pytest.mark.parametrize("mode", ["L", "I;16"])
def test_a_transparent_color_of_png(write, rejected, mode):
    picture = Image.fromarray(GREY).convert(mode)
    path = write(packed(picture, transparency=5))
    if mode == "L":
        assert read(path, invert=False)[0][0, 0, 3:7].tolist() == [3, 4, 255, 6]
        return
    message = ": kind of picture, found PNG of mode I;16B with a transparent color, convert it to"
    rejected(path, f"{message} PNG of 8 bits")


def test_other_modes_are_rejected(write, rejected):
    path = write(packed(Image.fromarray(GREY).convert("CMYK"), "JPEG"))
    rejected(path, ": kind of picture, found JPEG of mode CMYK, convert it to PNG of 8 bits")


def test_transparent_pixels_are_white(draw):
    colours = np.zeros((2, 2, 4), np.uint8)
    colours[0, :, 3] = 255, 51
    assert read(draw(colours), invert=False)[0][0].tolist() == [[0, 204], [255, 255]]


def test_transparent_colour_of_a_palette(write):
    picture = Image.fromarray(np.array([[0, 1]], np.uint8), "P")
    picture.putpalette([9, 9, 9, 8, 8, 8])
    assert read(write(packed(picture, transparency=1)), invert=False)[0].tolist() == [[[9, 255]]]


def test_orientation_of_a_camera(write):
    exif = Image.Exif()
    exif[0x0112] = 6  # turned to the left
    path = write(packed(Image.fromarray(GREY), exif=exif))
    assert np.array_equal(read(path)[0][0], np.rot90(GREY, -1))


@pytest.mark.parametrize("kind", ["PNG", "JPEG"])
def test_resized_to_a_square(draw, kind):
    pixels = np.full((300, 300), 40, np.uint8)
    pixels[:150] = 200
    images, _ = read(draw(pixels, kind), features=784, invert=False)
    assert images.shape == (1, 28, 28)
    assert abs(images[0, :11].astype(int) - 200).max() <= 2
    assert abs(images[0, 17:].astype(int) - 40).max() <= 2


def test_a_picture_that_is_no_square_keeps_its_form(draw):
    pixels = np.full((280, 140), 10, np.uint8)
    pixels[70:210, 35:105] = 250
    (image,), _ = read(draw(pixels, "PNG"), features=784)
    expected = np.full((28, 28), 10)
    expected[7:21, 11:18] = 250  # half as wide as high
    assert np.mean(abs(image.astype(int) - expected) > 60) < 0.05
    assert image[:, (0, -1)].tolist() == [[10, 10]] * 28


def test_a_picture_of_the_right_size_is_unchanged(draw):
    square = GREY.reshape(-1)[:81].reshape(9, 9)
    assert np.array_equal(read(draw(square), features=81)[0][0], square)


def test_a_number_of_pixels_that_is_no_square(draw, rejected):
    path = draw(GREY)
    assert read(path, features=96)[0].shape == (1, 12, 8)
    rejected(
        path,
        ": size of the picture, found 8 x 12 pixels, expected 97 pixels, resize it",
        features=97,
    )


def test_bright_background(draw):
    path = draw(255 - GREY)
    message = "bright background: give --invert (in Python invert=True) if the network"
    with pytest.warns(DataWarning, match=re.escape(f"{path}: {message}")):
        read(path)
    assert np.array_equal(read(path, invert=True)[0][0], GREY)
    assert np.array_equal(read(path, invert=False)[0][0], 255 - GREY)


def test_no_rows(draw):
    assert read(draw(GREY), rows=0)[0].shape == (0, 12, 8)


def test_every_truncation_is_one_error(draw):
    path = draw(GREY)
    content = path.read_bytes()
    for n in range(8, len(content) - 12):
        path.write_bytes(content[:n])
        with pytest.raises(DataError, match=f"^{path}: damaged, truncated or too large picture, "):
            read(path)


def test_a_changed_bit_of_png_is_an_error_or_harmless(draw):
    path = draw(GREY)
    content = path.read_bytes()
    n_accepted = 0
    for place in range(len(content)):
        damaged = bytearray(content)
        damaged[place] ^= 1 << place % 8
        path.write_bytes(damaged)
        try:
            found, _ = read(path, header="no", label="none")
        except DataError:
            continue
        assert np.array_equal(found[0], GREY)
        n_accepted += 1
    assert n_accepted <= 12  # the last chunk, which is empty


@pytest.mark.parametrize("kind", KINDS[1:])
def test_damage_is_one_line_or_a_picture(draw, kind):
    path = draw(GREY, kind)
    content = path.read_bytes()
    n_rejected, random = 0, np.random.default_rng(0)
    for place in random.integers(0, len(content), 300):
        path.write_bytes(content[:place] + random.bytes(2) + content[place + 1 :])
        try:
            assert read(path, invert=False)[0].dtype == np.uint8
        except DataError:
            n_rejected += 1
    assert n_rejected


def test_a_picture_by_its_first_bytes_alone(write, rejected):
    message = (
        ": damaged, truncated or too large picture, found 'cannot identify image file', copy it"
        " again, or convert it to a smaller PNG of 8 bits"
    )
    rejected(write(b"\x89PNG and nothing more"), message)


def test_out_of_memory_is_no_damage(draw, monkeypatch):
    def fail(_):
        raise MemoryError

    monkeypatch.setattr("PIL.ImageOps.exif_transpose", fail)
    with pytest.raises(MemoryError):
        read(draw(GREY))


@pytest.mark.parametrize("side", [40, 80], ids=["warning", "error"])
def test_the_limit_of_pillow_is_an_error(draw, monkeypatch, side):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    path = draw(np.zeros((side, side), np.uint8))
    with pytest.raises(DataError, match=rf"found 'Image size \({side**2} pixels\) exceeds limit"):
        read(path)


def test_max_data_bytes(draw):
    path = draw(np.zeros((40, 40, 3), np.uint8))
    with pytest.raises(DataError, match="picture too large to hold at once, found 25,600 bytes"):
        read(path, max_data_bytes=25_599)
    assert read(path, max_data_bytes=25_600)[0].shape == (1, 40, 40)


def enlarged_png(mode, side):
    """Return a PNG file of one pixel whose header declares a larger size."""
    content = bytearray(packed(Image.new(mode, (1, 1))))
    content[16:24] = struct.pack(">II", side, side)
    content[29:33] = struct.pack(">I", zlib.crc32(content[12:29]))
    return bytes(content)


@pytest.mark.parametrize(("mode", "n_bytes"), [("L", 4), ("I;16", 16), ("RGB", 16), ("RGBA", 16)])
@pytest.mark.parametrize("name", ["a.png", "-"])
def test_size_is_limited_by_the_header(write, monkeypatch, mode, n_bytes, name):
    content = enlarged_png(mode, 9000)
    stdin = SimpleNamespace(buffer=io.BytesIO(content))
    monkeypatch.setattr(sys, "stdin", stdin)
    path = name if name == "-" else write(content, name=name)
    found = f"found {n_bytes * 9000**2:,} bytes, expected at most 16,777,216, --max-data-bytes"
    with pytest.raises(DataError, match=f"picture too large to hold at once, {found}"):
        read(path)


def test_a_progressive_jpeg_is_limited_by_its_full_size(draw):
    pixels = np.zeros((5200, 5200), np.uint8)
    assert read(draw(pixels, "JPEG"), features=784)[0].shape == (1, 28, 28)
    with pytest.raises(DataError, match="picture too large to hold at once, found 218,010,000 b"):
        read(draw(pixels, "JPEG", progressive=True), features=784)


def test_pictures_are_no_labels(draw):
    path = draw(GREY, name="labels.png")
    with pytest.raises(DataError) as caught:
        read("sample", labels=path)
    assert str(caught.value).startswith(f"{path}: not labels, found a picture, is it swapped with")


def test_pillow_is_missing(draw, monkeypatch):
    path = draw(GREY)
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ModuleNotFoundError, match=r"pictures need Pillow: pip install Pillow$"):
        next(stream(path))

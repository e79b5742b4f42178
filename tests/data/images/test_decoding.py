"""What image files decode to: their whole range, over white, and upright where it is asked for."""

import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from bench.base.errors import BenchError
from bench.data.images import decoding

RAMP = np.tile(np.linspace(0, 65535, 84).astype(np.uint16), (84, 1))
GREY = np.rint(RAMP / 257).astype(np.uint8)  # the same in 8 bits


def saved(image, form="PNG", **options):
    file = io.BytesIO()
    (image if isinstance(image, Image.Image) else Image.fromarray(image)).save(
        file, form, **options
    )
    return file.getvalue()


def decoded(content, mode="RGB", **options):
    image, changes = decoding.decode(content, "a.png", **options)
    return np.asarray(decoding.convert(image, mode, "a.png")), changes


def png(rows, colour, **chunks):
    """A PNG of 16 bits, which Pillow cannot write in colour."""

    def chunk(name, data):
        check = struct.pack(">I", zlib.crc32(name + data))
        return struct.pack(">I", len(data)) + name + data + check

    head = struct.pack(">IIBBBBB", rows.shape[1], rows.shape[0], 16, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row.astype(">u2").tobytes() for row in rows))
    parts = [(b"IHDR", head), *((n.encode(), data) for n, data in chunks.items())]
    parts += [(b"IDAT", pixels), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def tiff(rows, bits, photometric=1):
    """An uncompressed TIFF of unsigned numbers."""
    pixels = rows.tobytes()
    tags = [(256, rows.shape[1]), (257, rows.shape[0]), (258, bits), (259, 1), (262, photometric)]
    tags += [(273, 8), (277, 1), (278, rows.shape[0]), (279, len(pixels))]
    fields = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    start = struct.pack("<2sHI", b"II", 42, 8 + len(pixels))
    return start + pixels + struct.pack("<H", len(tags)) + fields + bytes(4)


# More than 8 bits --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "content",
    [
        saved(RAMP),
        saved(RAMP, "TIFF"),
        saved(RAMP.astype(">u2"), "TIFF"),  # I;16B
        saved(RAMP, "TIFF", compression="tiff_lzw"),
        saved(RAMP, "PPM"),  # which Pillow reads as I
        saved((RAMP / 65535).astype(np.float32), "TIFF"),
        saved((RAMP / 65535).astype(np.float32), "PPM"),
        tiff(RAMP, 16),
        tiff(65535 - RAMP, 16, photometric=0),  # white is 0
    ],
    ids=["png", "tiff", "I;16B", "lzw", "pgm", "float", "pfm", "by-hand", "white-is-zero"],
)
def test_16_bits_and_floats_are_scaled_by_their_range(content):
    for mode, wanted in (("L", GREY), ("RGB", np.stack([GREY] * 3, -1))):
        pixels, changes = decoded(content, mode)
        np.testing.assert_array_equal(pixels, wanted)
        assert changes == ("scaled",)


@pytest.mark.parametrize(("colour", "channels"), [(2, 3), (4, 2), (6, 4)])
def test_16_bits_in_colour(colour, channels):
    rows = np.stack([RAMP] * channels, -1)
    if channels != 3:
        rows[..., -1] = 65535  # opaque
    pixels, changes = decoded(png(rows, colour))
    assert np.abs(pixels.astype(int) - GREY[..., None]).max() <= 1
    assert changes == ()


@pytest.mark.parametrize("mode", ["I;16", "I;16B", "I", "F"])
def test_every_mode_of_more_than_8_bits_is_scaled_or_refused(mode):
    form = "PPM" if mode == "I" else "TIFF"
    image = Image.fromarray(RAMP.astype({"F": "f4", "I": "i4", "I;16B": ">u2"}.get(mode, "u2")))
    content = saved(image, form)
    assert Image.open(io.BytesIO(content)).mode == mode
    if mode == "F":
        with pytest.raises(BenchError, match=r"a\.png: has values from 0 to 65535, .*0 to 1 is"):
            decoded(content)
    else:
        np.testing.assert_array_equal(decoded(content, "L")[0], GREY)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.float32([[0, 255]]), r"from 0 to 255, and of images of this kind \(F\) only 0 to 1"),
        (np.float32([[-0.1, 1]]), "from -0.1 to 1, "),
        (np.float32([[0, np.nan]]), "from nan to nan, "),
        (np.float32([[0, np.inf]]), "from 0 to inf, "),
        (
            np.int32([[0, 70000]]),
            r"from 0 to 70000, and of images of this kind \(I\) only 0 to 255",
        ),
        (np.int32([[-1, 255]]), "from -1 to 255, "),
    ],
)
def test_values_of_no_known_range_are_refused_by_name(values, words):
    with pytest.raises(BenchError, match=rf"^a\.png: has values {words}.*save it with 8 or 16"):
        decoded(saved(values, "TIFF"))


def test_bytes_stored_as_32_bits_stay_as_they_are():
    pixels, changes = decoded(saved(GREY.astype(np.int32), "TIFF"), "L")
    np.testing.assert_array_equal(pixels, GREY)
    assert changes == ()


def test_a_dark_image_of_16_bits_is_told():
    assert decoded(saved(np.uint16([[0, 255]])))[1] == ("scaled", "dim")
    assert decoded(saved(np.uint16([[0, 4095]])))[1] == ("scaled", "dim")
    for values in ([[0, 4096]], [[0, 0]]):
        assert decoded(saved(np.uint16(values)))[1] == ("scaled",)
    assert decoded(saved(np.float32([[0, 0.01]]), "TIFF"))[1] == ("scaled",)


# Transparency ------------------------------------------------------------------------------------


def half(mode):
    """Red, or dark grey, of which one half is transparent and another half-transparent."""
    image = Image.new("RGBA", (4, 4), (200, 0, 0, 255))
    image.paste((0, 0, 0, 0), (0, 0, 2, 4))
    image.putpixel((3, 3), (200, 0, 0, 127))
    return image.convert(mode)


@pytest.mark.parametrize(
    ("content", "colours"),
    [
        (saved(half("RGBA")), [(255, 255, 255), (200, 0, 0), (228, 128, 128)]),
        (saved(half("RGBA"), "TIFF"), [(255, 255, 255), (200, 0, 0), (228, 128, 128)]),
        (saved(half("RGBA"), "WEBP", lossless=True), [(255,) * 3, (200, 0, 0), (228, 128, 128)]),
        (saved(half("LA")), [(255, 255, 255), (60, 60, 60), (158, 158, 158)]),
        (saved(half("LA"), "TIFF"), [(255, 255, 255), (60, 60, 60), (158, 158, 158)]),
        (saved(half("RGBA").quantize(8)), [(255, 255, 255), (200, 0, 0), (228, 128, 128)]),
        (saved(half("RGBA"), "GIF"), [(255, 255, 255), (200, 0, 0), (200, 0, 0)]),
    ],
    ids=["RGBA", "RGBA tiff", "RGBA webp", "LA", "LA tiff", "P", "gif"],
)
def test_what_is_transparent_is_laid_over_white(content, colours):
    pixels, changes = decoded(content)
    assert changes == ("composed",)
    found = pixels[0, 0], pixels[0, 3], pixels[3, 3]
    np.testing.assert_allclose(found, colours, atol=1)
    grey = np.asarray(Image.fromarray(pixels).convert("L"))
    np.testing.assert_array_equal(decoded(content, "L")[0], grey)


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "1"])
def test_a_colour_that_stands_for_transparency(mode):
    image = Image.fromarray(np.uint8([[0, 255]])).convert(mode)
    colour = {"RGB": (0, 0, 0)}.get(mode, image.getpixel((0, 0)))
    pixels, changes = decoded(saved(image, transparency=colour))
    np.testing.assert_array_equal(pixels, np.full((1, 2, 3), 255))
    assert changes == ("composed",)


def test_a_colour_of_16_bits_that_stands_for_transparency():
    content = png(RAMP, 0, tRNS=struct.pack(">H", 0))
    pixels, changes = decoded(content, "L")
    np.testing.assert_array_equal(pixels, np.where(GREY == 0, 255, GREY))
    assert changes == ("scaled", "composed")


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_opaque_images_stay_as_they_were(mode):
    drawn = np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8)
    image = Image.fromarray(drawn)
    with_alpha = image.quantize(8) if mode == "P" else image.convert(mode)
    for wanted in ("RGB", "L"):
        pixels, changes = decoded(saved(with_alpha), wanted)
        np.testing.assert_array_equal(pixels, np.asarray(with_alpha.convert(wanted)))
        assert changes == ()


# Orientation, frames, colours --------------------------------------------------------------------


def oriented(orientation, form="JPEG"):
    """A photograph, and the same as a camera stores it that was held in another way."""
    drawn = np.kron(np.random.default_rng(0).integers(0, 2, (3, 4)) * 255, np.ones((16, 16)))
    exif = Image.Exif()
    exif[decoding.ORIENTATION] = orientation
    upright = Image.fromarray(drawn.astype(np.uint8))
    undo = {6: 8, 8: 6}.get(orientation, orientation)
    turn = decoding._UPRIGHT.get(undo)
    stored = upright if turn is None else upright.transpose(turn)
    return np.asarray(upright), np.asarray(stored), saved(stored, form, exif=exif)


@pytest.mark.parametrize("form", ["JPEG", "PNG"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_photograph_is_turned_as_its_camera_says_where_that_is_asked_for(orientation, form):
    upright, stored, content = oriented(orientation, form)
    pixels, changes = decoded(content, "L", upright=True)
    np.testing.assert_allclose(pixels.astype(int), upright, atol=3)
    assert changes == (("turned",) if orientation > 1 else ())
    pixels, changes = decoded(content, "L")
    np.testing.assert_allclose(pixels.astype(int), stored, atol=3)
    assert changes == (("not turned",) if orientation > 1 else ())


@pytest.mark.parametrize("orientation", [0, 9, 77])
def test_an_orientation_that_there_is_not_is_ignored(orientation):
    upright, _, content = oriented(orientation)
    pixels, changes = decoded(content, "L", upright=True)
    np.testing.assert_allclose(pixels.astype(int), upright, atol=3)
    assert changes == ()


def test_damaged_exif_does_not_cost_the_image():
    content = saved(GREY, "JPEG")
    damaged = b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(range(40))
    head = content[:2] + b"\xff\xe1" + struct.pack(">H", len(damaged) + 2) + damaged
    pixels, changes = decoded(head + content[2:], "L", upright=True)
    np.testing.assert_array_equal(pixels, np.asarray(Image.open(io.BytesIO(content))))
    assert changes == ()


@pytest.mark.parametrize("form", ["GIF", "PNG", "WEBP", "TIFF"])
def test_of_several_frames_the_first_is_taken(form):
    frames = [Image.new("RGB", (8, 8), (60 * i, 0, 0)) for i in range(1, 4)]
    options = {"lossless": True} if form == "WEBP" else {}
    content = saved(frames[0], form, save_all=True, append_images=frames[1:], **options)
    pixels, changes = decoded(content)
    np.testing.assert_array_equal(pixels, np.asarray(frames[0]))
    assert changes == ("first frame",)
    assert decoded(saved(frames[0], form, **options))[1] == ()


def test_colours_that_cannot_be_converted_are_named():
    image = decoding.decode(saved(Image.new("LAB", (4, 4)), "TIFF"), "a.tif").image
    with pytest.raises(
        BenchError, match=r"^a\.tif: its colours \(LAB\) cannot be .*save it as RGB"
    ):
        decoding.convert(image, "L", "a.tif")


# What is no image --------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"no image", saved(GREY)[:-30], saved(GREY)[:40]])
def test_broken_images_are_named_and_no_object_is(content):
    with pytest.raises(BenchError, match=r"^set\.zip: a/b\.png: not a whole image") as refusal:
        decoding.decode(content, "set.zip: a/b.png")
    assert "0x" not in str(refusal.value)
    assert "BytesIO" not in str(refusal.value)


def test_an_image_of_absurd_size_is_refused(monkeypatch):
    content = saved(Image.new("1", (40, 40)))
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(BenchError, match=r"bomb\.png: not a whole image"):
        decoding.decode(content, "bomb.png")


@pytest.mark.parametrize("form", ["EPS", "PDF"])
def test_what_other_programs_would_read_is_no_image(form):
    content = saved(Image.new("RGB", (4, 4), "red"), form)
    with pytest.raises(BenchError, match=r"a\.png: not a whole image"):
        decoding.decode(content, "a.png")


def test_changes_are_counted_with_an_example():
    changes = decoding.Changes()
    assert changes.notes() == []
    changes.add(("composed",), "b/1.png")
    changes.add(("scaled", "composed"), "a/2.png")
    scaled, composed = changes.notes()
    assert scaled.startswith("1 image of 16 bits or floating point, such as a/2.png: the range")
    assert composed == "2 images transparent in parts, such as b/1.png: laid over white."

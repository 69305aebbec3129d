"""Encoded images become one tensor, and what is wrong with them is said by name."""

from __future__ import annotations

import io
import zlib
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from chronas.data.decoding import DEFAULT_SIDE, Decoded, resized
from chronas.data.decoding import decode as decode_all
from chronas.errors import DataError


def encoded(array: np.ndarray, mode: str | None = None, form: str = "PNG") -> bytes:
    image = Image.fromarray(array)
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, form)
    return buffer.getvalue()


def decode(*arguments: Any) -> torch.Tensor:
    found: Decoded = decode_all(*arguments)
    return found.pixels


RGB = np.random.default_rng(0).integers(0, 256, (6, 5, 3), dtype=np.uint8)
GREY = RGB[:, :, 0]


def test_colours_and_their_places_are_kept() -> None:
    pixels = decode(["a"], [encoded(RGB)])
    assert pixels.shape == (1, 3, 6, 5)
    assert np.array_equal(pixels[0].numpy(), RGB.transpose(2, 0, 1))


def test_grey_keeps_one_channel_but_not_among_colours() -> None:
    assert np.array_equal(decode(["a", "b"], [encoded(GREY)] * 2)[1, 0].numpy(), GREY)
    mixed = decode(["a", "b"], [encoded(RGB), encoded(GREY)])
    assert mixed.shape == (2, 3, 6, 5)
    assert all(np.array_equal(channel.numpy(), GREY) for channel in mixed[1])


@pytest.mark.parametrize(("mode", "channels"), [("RGBA", 3), ("P", 3), ("LA", 1), ("1", 1)])
def test_other_modes_become_grey_or_rgb(mode: str, channels: int) -> None:
    assert decode(["a"], [encoded(RGB, mode)]).shape == (1, channels, 6, 5)


def test_sixteen_bits_become_eight() -> None:
    deep = encoded(np.array([[0, 255, 256, 40000, 65535]], dtype=np.uint16))
    assert decode(["deep.png"], [deep])[0, 0, 0].tolist() == [0, 0, 1, 156, 255]


def test_images_of_several_sizes_get_one_and_it_is_said() -> None:
    images = [encoded(np.full((120, 200, 3), 7, np.uint8)), encoded(np.full((150, 110, 3), 9, np.uint8))]
    found = decode_all(["a", "b"], images)
    assert found.pixels.shape == (2, 3, DEFAULT_SIDE, DEFAULT_SIDE)
    assert [int(image.unique().item()) for image in found.pixels] == [7, 9]
    assert found.notes == [
        "images have several sizes (1 of 200x120, 1 of 110x150): the shorter side of each is scaled to 96 pixels, and "
        "the middle 96x96 is kept; --image-size changes that"
    ]
    assert decode_all(["a", "b"], images, side=20).pixels.shape == (2, 3, 20, 20)
    small = decode_all(["a", "b"], [encoded(RGB), encoded(RGB.transpose(1, 0, 2).copy())])
    assert small.pixels.shape == (2, 3, 5, 5), "images are not made larger without being told"


def test_the_middle_square_is_kept() -> None:
    wide = np.zeros((10, 30, 3), dtype=np.uint8)
    wide[:, 10:20] = 200
    assert decode_all(["a"], [encoded(wide)], side=10).pixels.unique().tolist() == [200]
    tensor = torch.from_numpy(wide.transpose(2, 0, 1).copy()).unsqueeze(0)
    assert resized(tensor, 10).unique().tolist() == [200]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_camera_that_was_turned_gives_upright_images(orientation: int) -> None:
    corner = np.zeros((8, 6, 3), dtype=np.uint8)
    corner[:4, :3] = 255  # upper left
    upright = Image.fromarray(corner)
    turns = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # what makes the stored image from the upright one
    stored = upright if orientation == 1 else upright.transpose(Image.Transpose(turns[orientation]))
    exif = Image.Exif()
    exif[0x0112] = orientation
    buffer = io.BytesIO()
    stored.save(buffer, "PNG" if orientation == 0 else "JPEG", exif=exif, quality=100, subsampling=0)
    pixels = decode(["photo"], [buffer.getvalue()])
    assert pixels.shape == (1, 3, 8, 6)
    assert np.abs(pixels[0].numpy().transpose(1, 2, 0).astype(int) - corner).max() < 40


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparent_pixels_are_laid_over_white_and_it_is_said(mode: str) -> None:
    drawing = Image.new("RGBA", (4, 2), (0, 0, 0, 0))
    drawing.putpixel((1, 1), (0, 0, 0, 255))
    buffer = io.BytesIO()
    drawing.convert(mode).save(buffer, "PNG")
    found = decode_all(["a", "b"], [buffer.getvalue(), encoded(np.zeros((2, 4), np.uint8))])
    assert found.pixels[0, 0].tolist() == [[255, 255, 255, 255], [255, 0, 255, 255]]
    assert found.notes == ["1 images have transparent pixels: they are laid over white"]
    assert decode_all(["a"], [encoded(RGB, "RGBA")]).notes == []


BOMB = encoded(np.zeros((1, 1), dtype=np.uint8), "P")


def test_an_image_of_too_many_pixels_is_refused_before_it_is_decoded() -> None:
    header = bytearray(BOMB)
    header[16:24] = (13_000).to_bytes(4, "big") * 2
    header[29:33] = zlib.crc32(bytes(header[12:29])).to_bytes(4, "big")
    with pytest.raises(DataError, match=r"bomb has 13000x13000 pixels, at most 64,000,000 are read"):
        decode(["bomb"], [bytes(header)])


def test_a_format_that_would_start_a_program_is_not_opened() -> None:
    script = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 10 10\n%%EndComments\nshowpage\n%%EOF\n"
    with pytest.raises(DataError, match="x.png cannot be read .it is no image of a known format"):
        decode(["x.png"], [script])


def test_no_images_are_refused() -> None:
    with pytest.raises(DataError, match="no images"):
        decode([], [])


@settings(deadline=None, max_examples=150)
@given(st.sampled_from(["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP"]), st.data())
def test_a_damaged_image_is_named_or_decoded_but_never_a_traceback(form: str, data: st.DataObject) -> None:
    content = bytearray(encoded(RGB, form=form))
    for _ in range(data.draw(st.integers(1, 4))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(content)))
    try:
        pixels = decode(["photo"], [bytes(content[:cut])])
    except DataError as error:
        assert "photo" in str(error)
    else:
        assert pixels.dtype == torch.uint8


def test_progress_ends_at_the_last_image() -> None:
    seen: list[tuple[str, int, int]] = []
    decode(["x"] * 501, [encoded(GREY)] * 501, lambda step, done, total, note: seen.append((step, done, total)))
    assert seen[-1] == ("decode", 501, 501)

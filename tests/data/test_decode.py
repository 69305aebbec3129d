"""Encoded images become one tensor, and what is wrong with them is said by name."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from chronas.data.folder import decode
from chronas.errors import DataError


def encoded(array: np.ndarray, mode: str | None = None, form: str = "PNG") -> bytes:
    image = Image.fromarray(array)
    buffer = io.BytesIO()
    (image.convert(mode) if mode else image).save(buffer, form)
    return buffer.getvalue()


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


def test_sixteen_bits_are_refused_and_not_clipped() -> None:
    deep = encoded(np.full((4, 4), 40000, dtype=np.uint16))
    with pytest.raises(DataError, match=r"image deep\.png has mode I;16"):
        decode(["deep.png"], [deep])


def test_mixed_sizes_are_counted() -> None:
    with pytest.raises(DataError, match=r"2 of 6x5, 1 of 5x6 \(height x width; see odd\)"):
        decode(["a", "odd", "b"], [encoded(RGB), encoded(RGB.transpose(1, 0, 2).copy()), encoded(RGB)])


def test_many_sizes_fit_on_one_line() -> None:
    blanks = [encoded(np.zeros((side, side), dtype=np.uint8)) for side in range(2, 9)]
    with pytest.raises(DataError, match="and 3 more sizes") as caught:
        decode([str(number) for number in range(7)], blanks)
    assert "\n" not in str(caught.value)


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

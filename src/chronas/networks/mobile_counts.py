"""The work of all networks of an elastic space, from the numbers of channels alone; nothing is traced but one network.

Letters: `W` slots of the encoding.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING

import torch

from chronas.networks.counts import Layer, Work
from chronas.networks.slot_counts import SpaceWork

if TYPE_CHECKING:
    from chronas.networks.cells import Size
    from chronas.networks.mobile import InvertedPlan
    from chronas.spaces import ElasticTopology, NetworkSize, Space


def mobile_works(space: Space, topology: ElasticTopology, size: NetworkSize) -> Mapping[tuple[int, ...], SpaceWork]:
    """The work under each option of resolution and width."""
    return {
        (resolution, width): _scaled(space, topology, size, (resolution, width))
        for resolution in range(len(topology.resolutions))
        for width in range(len(topology.widths))
    }


def _scaled(space: Space, topology: ElasticTopology, size: NetworkSize, scale: tuple[int, int]) -> SpaceWork:
    stem, *_ = topology.strides[size.stem]
    pixels = _strided(topology.pixels(size, scale[0]), stem)
    slots = [Work() for _ in range(sum(len(space.decisions[d].options) for d in topology.scaling))]
    layers = space.decisions[len(topology.scaling) :]
    least = [decision.options[0] for decision in layers]
    with torch.random.fork_rng(devices=[]):
        base = Work.of(topology.network(topology.chain(least, size, scale)), size.input_shape)
    for decision, first, place in zip(layers, least, topology.places(size, scale[1]), strict=True):
        for option in decision.options:
            known = option in topology.blocks
            slots.append(block_work(topology.block(option, *place), pixels) if known else Work())
        base = base.plus(block_work(topology.block(first, *place), pixels), -1)
        pixels = _strided(pixels, place[-1])
    return SpaceWork(base, tuple(slots))


def block_work(plan: InvertedPlan, pixels: Size) -> Work:
    """The layers and parameters of one block for an image of this height and width."""
    after, one = _strided(pixels, plan.stride), (1, 1)
    inner, kernel, step = plan.inner, (plan.kernel, plan.kernel), (plan.stride, plan.stride)
    layers = [
        Layer("convolution", inner, inner, kernel, step, pixels, after, inner),
        Layer("convolution", inner, plan.channels_out, one, one, after, after),
    ]
    parameters = inner * math.prod(kernel) + 2 * inner + (inner + 2) * plan.channels_out
    if inner != plan.channels_in:
        layers.append(Layer("convolution", plan.channels_in, inner, one, one, pixels, pixels))
        parameters += (plan.channels_in + 2) * inner
    if plan.squeezed:
        layers.append(Layer("pooling", inner, inner, after, after, after, one, inner))
        layers.append(Layer("convolution", inner, plan.squeezed, one, one, one, one))
        layers.append(Layer("convolution", plan.squeezed, inner, one, one, one, one))
        parameters += (inner + 1) * plan.squeezed + (plan.squeezed + 1) * inner
    return Work(Counter(layers), parameters)


def _strided(pixels: Size, stride: int) -> Size:
    return math.ceil(pixels[0] / stride), math.ceil(pixels[1] / stride)

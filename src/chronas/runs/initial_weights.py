"""The trained weights of a user's file, with which a run or a training begins.

initial = initial_of_space("efficientnet-lite0.pth", space, size, seed=0)
initial = initial_of("model.safetensors", architecture, size, seed=0)
print(initial.words)
weights = initial.weights_of(architecture)

In a space with nested weights, a file of the largest network or of a supernet serves every architecture. In other
spaces it is the file of one architecture.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from chronas.errors import MismatchError, UsageError
from chronas.networks import GivenWeights, build, fit_weights, read_weights
from chronas.spaces import Architecture, NetworkSize, Space
from chronas.supernets import ElasticSupernet, build_supernet

AUXILIARY = "auxiliary"  # prefix of the parts that exist in training only


@dataclass(frozen=True, eq=False)
class InitialWeights:
    """A file of weights that fits.

    Attributes:
        given: the file.
        words: what was taken of it, as a sentence without a full stop.
        supernet: the nested supernet with the weights; None if the file is of one architecture.
        tensors: the weights of that architecture by name; empty with a supernet.
        whole: whether each tensor of the file has a place.
    """

    given: GivenWeights
    words: str
    supernet: ElasticSupernet | None
    tensors: Mapping[str, Tensor]
    whole: bool = True

    def weights_of(self, architecture: Architecture) -> dict[str, Tensor]:
        """The weights of an architecture's network, by name; without a supernet, it is the one of the file.

        Running statistics of batch norms are the file's where the numbers of channels are equal.
        """
        if self.supernet is None:
            return dict(self.tensors)
        return self.supernet.weights_of(architecture, statistics=True)


def initial_of_space(source: str | Path, space: Space, size: NetworkSize, *, seed: int) -> InitialWeights:
    """The weights of a file for all architectures of a space.

    Args:
        source: a .safetensors, .pth or .pt file.
        space: a space with nested weights.
        size: size of its largest network.
        seed: seed of the weights that the file does not have.

    Raises:
        UsageError: the space has no nested weights, or the file is of another kind.
        MismatchError: the file has other names or shapes than the largest network.
        DataError: the file is missing or damaged.
    """
    if not space.topology.nested:
        raise UsageError(
            f"space {space.name} has no nested weights, so {source} fits one architecture: train that with `chronas "
            "train --architecture TEXT --init FILE`, or choose a space such as efficientnet-lite"
        )
    return _nested(read_weights(source), space, size, seed)


def initial_of(
    source: str | Path, architecture: Architecture, size: NetworkSize, *, seed: int, auxiliary: bool = False
) -> InitialWeights:
    """The weights of a file for one architecture: its own, or in a space with nested weights those of its part.

    Args:
        source: a .safetensors, .pth or .pt file.
        architecture: the architecture.
        size: size of its network.
        seed: seed of the weights that the file does not have.
        auxiliary: whether the network has an auxiliary head, which the file may lack.

    Raises:
        UsageError: the file is of another kind.
        MismatchError: the file has other names or shapes than the network.
        DataError: the file is missing or damaged.
    """
    given, space = read_weights(source), architecture.space
    network = build(architecture, size, seed=seed, auxiliary=auxiliary)
    try:
        own = initial_of_network(given, network, size.outputs)
    except MismatchError:
        if not space.topology.nested:
            raise
        own = None
    if own is not None and (own.whole or not space.topology.nested):
        return own
    return _nested(given, space, size, seed)


def initial_of_network(given: GivenWeights, network: nn.Module, classes: int) -> InitialWeights:
    """The weights of a file for any module; layers that give logits of other classes keep theirs."""
    final = [
        name for name, each in network.named_modules() if isinstance(each, nn.Linear) and each.out_features == classes
    ]
    epsilons = {each.eps for each in network.modules() if isinstance(each, nn.BatchNorm2d)}
    epsilon = epsilons.pop() if len(epsilons) == 1 else None
    found = fit_weights(network.state_dict(), given, final=final, optional=(AUXILIARY,), epsilon=epsilon)
    return InitialWeights(given, found.words, None, found.tensors, whole=not found.unused)


def require_same(initial: InitialWeights, checksum: str | None, folder: Path) -> InitialWeights:
    """The weights, if their file is the one that a run was begun with; `checksum` is None before the run has begun.

    Raises:
        MismatchError: it is another one.
    """
    if checksum not in (None, initial.given.checksum):
        raise MismatchError(f"{folder} was begun with another file than {initial.given.name} is now: use that one")
    return initial


def _nested(given: GivenWeights, space: Space, size: NetworkSize, seed: int) -> InitialWeights:
    supernet = build_supernet(space, size, seed=seed)
    assert isinstance(supernet, ElasticSupernet)  # because its space has nested weights
    return InitialWeights(given, supernet.start_from(given).words, supernet, {})

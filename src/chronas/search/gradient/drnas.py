"""DrNAS: mixtures are drawn from learned Dirichlet distributions (Chen et al., arXiv 2006.10355).

Each edge has a Dirichlet distribution of concentrations elu(alphas) + 1; each step mixes by a draw from it, and the
gradient passes through the draw (pathwise). The search is progressive: it starts on few channels. Each later stage
keeps only the strongest operations of every edge and sends more channels through them; optimiser, learning rate and
alphas continue.

The mean of the Dirichlet is the distribution for expected costs and derived candidates. A pruned operation keeps a
probability of about e^-30 in it, so that it is only derived if a limit leaves nothing else. A warm-started search has
one stage, in which the weights of each operation are those from when it was last kept.

In the published code (https://github.com/xiangning-chen/DrNAS, 201-space/train_search_progressive.py), edges of the
DARTS space are ranked by a softmax of the alphas, poolings have no batch norm, and DARTS's space has no `none`. We rank
edges by the mean. After pruning we draw from the Dirichlet of the kept operations, which equals drawing all and
normalising; the KL regulariser is also on these. Concentrations below 0.01 are drawn as 0.01, because smaller ones
underflow. In the DARTS space the authors search with 36 channels, 20 cells, partial channels 6 and then 4, and keep 4
of 7 operations.
"""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal, Self

import torch
from pydantic import Field
from torch import Tensor
from torch.distributions import Dirichlet, kl_divergence

from chronas.errors import UsageError
from chronas.search.gradient import checkpoints
from chronas.search.gradient.darts import Darts
from chronas.search.gradient.loop import Batch, BilevelConfig, BilevelLoop, Mixture
from chronas.search.objective import Objective
from chronas.search.relaxation import Relaxation, choices_of
from chronas.search.searcher import Task, WarmStart
from chronas.supernets import channel_sources, net2wider

PRUNED = -30.0  # log concentration of a pruned operation; others have concentrations of about one
LEAST_CONCENTRATION = 1e-2
SEEDS = 2**62


class DrNASConfig(BilevelConfig):
    """Settings of DrNAS; the defaults are its authors' for NAS-Bench-201: two stages of 50 epochs."""

    epochs: int = Field(default=100, ge=1, le=10_000, description="passes over the training images, in all stages")
    depth: int = Field(default=5, ge=1, le=200, description="cells of the supernet (nasbench201: cells a stage)")
    partial_channels: int = Field(
        default=4, ge=1, le=64, description="one in this many channels goes through operations in the first stage"
    )
    later_partial_channels: tuple[Annotated[int, Field(ge=1, le=64)], ...] = Field(
        default=(2,), description="the same in each later stage; empty: one stage"
    )
    later_operations: tuple[Annotated[int, Field(ge=2, le=64)], ...] = Field(
        default=(3,), description="operations that each edge keeps in each later stage"
    )
    warmup_epochs: int = Field(
        default=10, ge=0, le=10_000, description="first epochs of each stage, in which the alphas stay fixed"
    )
    regulariser: Literal["l2", "kl"] = Field(
        default="l2", description="of the alphas: their squares, or the divergence from the uniform Dirichlet"
    )
    alphas_weight_decay: float = Field(default=1e-3, ge=0, le=1, description="strength of the regulariser")

    @property
    def stages(self) -> int:
        """The number of stages."""
        return 1 + len(self.later_partial_channels)

    def first_epoch(self, stage: int) -> int:
        """The number of epochs before a stage; stages are equally long, up to one epoch."""
        return round(self.epochs * stage / self.stages)

    def stage_of(self, epoch: int) -> int:
        """The stage of an epoch, counted from 0."""
        return max(stage for stage in range(self.stages) if self.first_epoch(stage) <= epoch)

    def for_warm_start(self) -> Self:
        """Settings with trained shared weights: one stage with all operations, on the last stage's channels."""
        channels = (self.partial_channels, *self.later_partial_channels)[-1]
        one_stage = {"partial_channels": channels, "later_partial_channels": (), "later_operations": ()}
        return super().for_warm_start().model_copy(update=one_stage)


class DrNASLoop(BilevelLoop):
    """DARTS's steps with drawn mixtures, in stages; `state["kept"]` [D, K] are the columns that are not pruned."""

    config: DrNASConfig
    _seed: int

    def __init__(self, task: Task, config: DrNASConfig, objective: Objective) -> None:
        super().__init__(task, config, objective)
        decisions, options = self.alphas[0].shape
        self._columns = choices_of(task.space).columns
        fewest = int(self._columns.sum(dim=1).min())
        if any(kept > fewest for kept in config.later_operations):
            raise UsageError(
                f"{task.space.name} has {fewest} operations an edge, so no stage can keep "
                f"{max(config.later_operations)}: give later operations of at most {fewest}"
            )
        if config.regulariser == "kl" and fewest < options:
            raise UsageError(
                f"the kl regulariser needs decisions with equally many options, {task.space.name} has "
                f"{fewest} to {options}: take l2"
            )
        self.state["kept"] = torch.arange(options).repeat(decisions, 1)
        if config.regulariser == "kl":
            self.alphas_optimiser.param_groups[0]["weight_decay"] = 0.0

    def reshape(self) -> None:
        """Set the partial channels of the last finished epoch."""
        stage = self.config.stage_of(max(len(self.history) - 1, 0))
        if stage > 0:
            self.take(self.new_supernet(self.config.later_partial_channels[stage - 1]))

    def begin_epoch(self) -> None:
        """Prune and widen at the start of a later stage."""
        epoch = len(self.history)
        stage = self.config.stage_of(epoch)
        if stage > 0 and epoch == self.config.first_epoch(stage):
            self._prune(self.config.later_operations[stage - 1])
            self._widen(self.config.later_partial_channels[stage - 1])
        super().begin_epoch()

    def warming_up(self) -> bool:
        """Whether the stage is in its warm-up."""
        epoch = len(self.history)
        return epoch - self.config.first_epoch(self.config.stage_of(epoch)) < self.config.warmup_epochs

    def draw(self) -> None:
        """Draw the seed of this step's mixture."""
        self._seed = int(torch.randint(SEEDS, (), generator=self.generator))

    def mixture(self) -> Mixture:
        """A draw from the Dirichlet distributions of the kept operations; the others have weight zero."""
        concentrations = self._log_concentrations().exp().double().clamp(min=LEAST_CONCENTRATION)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed)
            drawn = Dirichlet(concentrations).rsample().to(self.alphas[0].dtype)
        if not bool(self._columns.all()):  # a Dirichlet of fewer options is a normalised one of more options
            drawn = drawn * self._columns.gather(1, self.state["kept"])
            drawn = drawn / drawn.sum(dim=1, keepdim=True)
        weights = torch.zeros_like(self.alphas[0]).scatter(1, self.state["kept"], drawn)
        return Mixture(weights, self.edge_weights())

    def alphas_loss(self, batch: Batch) -> Tensor:
        """The loss of DARTS, plus the divergence from the uniform Dirichlet if that is the regulariser."""
        loss = super().alphas_loss(batch)
        if self.config.regulariser == "l2":
            return loss
        concentrations = self._log_concentrations().exp()
        divergence = kl_divergence(Dirichlet(concentrations), Dirichlet(torch.ones_like(concentrations)))
        return loss + self.config.alphas_weight_decay * divergence.sum()

    def relaxation(self) -> Relaxation:
        """The mean of the Dirichlet distributions."""
        scores = torch.full_like(self.alphas[0], PRUNED).scatter(1, self.state["kept"], self._log_concentrations())
        return Relaxation(self.task.space, scores, *self.alphas[1:])

    def _log_concentrations(self) -> Tensor:
        """[D, K] log(elu(alphas) + 1) of the kept operations, without rounding errors for elu near -1."""
        kept = self.operation_alphas.gather(1, self.state["kept"])
        return torch.where(kept > 0, kept.clamp(min=0).log1p(), kept)

    def _prune(self, count: int) -> None:
        kept = self.state["kept"]
        strongest = self.operation_alphas.detach().gather(1, kept).topk(count, dim=1).indices.sort(dim=1).values
        self.state["kept"] = kept.gather(1, strongest)

    def _widen(self, partial_channels: int) -> None:
        """Use a supernet with more channels through operations; weights and momentum come from the present one."""
        narrow, optimiser = self.supernet, self.weights_optimiser
        self.take(self.new_supernet(partial_channels))
        for old, new in zip(narrow.parameters(), self.supernet.parameters(), strict=True):
            sources = channel_sources(old.shape, new.shape, self.generator)
            new.data.copy_(net2wider(old.detach(), sources))
            if (buffer := optimiser.state[old].get("momentum_buffer")) is not None:  # no buffer without momentum
                momentum = torch.empty_like(new).copy_(net2wider(buffer, sources))
                self.weights_optimiser.state[new]["momentum_buffer"] = momentum


class DrNAS(Darts):
    """DARTS's loop with drawn mixtures, in stages."""

    name: ClassVar[str] = "drnas"
    Config: ClassVar[type[BilevelConfig]] = DrNASConfig
    loop: ClassVar[type[BilevelLoop]] = DrNASLoop
    warm_start: ClassVar[WarmStart | None] = WarmStart(checkpoints.FILE, frozenset({"width", "depth"}))
    needs_partial_channels: ClassVar[bool] = True

    def __init__(self, config: DrNASConfig | None = None) -> None:
        """Store the settings; the defaults are the authors'.

        Raises:
            UsageError: the settings of stages do not fit together, or the warm-up leaves no epoch of a stage for the
                alphas.
        """
        super().__init__(config)
        assert isinstance(self.config, DrNASConfig)
        _check_stages(self.config)


def _check_stages(config: DrNASConfig) -> None:
    channels, operations = config.later_partial_channels, config.later_operations
    if len(channels) != len(operations):
        raise UsageError(
            f"each later stage has its partial channels and its operations, got {len(channels)} and {len(operations)}: "
            "give as many of both"
        )
    for name, values in (("partial channels", (config.partial_channels, *channels)), ("operations", operations)):
        if list(values) != sorted(values, reverse=True):
            raise UsageError(f"{name} must fall from stage to stage, got {', '.join(map(str, values))}")
    bounds = [*map(config.first_epoch, range(config.stages)), config.epochs]
    shortest = min(end - start for start, end in zip(bounds, bounds[1:], strict=False))
    if config.warmup_epochs >= shortest:
        raise UsageError(
            f"a warm-up of {config.warmup_epochs} epochs a stage leaves none of {shortest} for alphas: give fewer, or "
            f"more than {config.epochs} epochs for {config.stages} stages"
        )

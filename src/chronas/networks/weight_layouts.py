"""Names that other packages give to the parts of networks of inverted residual blocks, and ours for them.

A `Layout` is a table for one package. A block has several forms, because its parts are numbered or named by what it
has; the first form whose marker a block has is used. Blocks are counted in their order, from 0. Sources of the names:
efficientnet_lite_pytorch 0.1.0, timm's `efficientnet_lite0` and `mobilenetv3_large_100`, torchvision's `mobilenet_v3`,
and Once-for-All (https://github.com/mit-han-lab/once-for-all), whose supernets also have matrices for smaller kernels.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

TRANSFORMS = "transforms."  # prefix of the matrices of kernels, by "<block>_<k>" as in `ElasticSupernet.transforms`
DOUBLED = re.compile(r"\b(conv|bn|linear)\.\1\.")  # a wrapper and what it wraps have one name
Form = tuple[str, Mapping[str, str]]  # a name that blocks of this form have; their modules -> ours, {} is the number


@dataclass(frozen=True)
class Layout:
    """The names of one package.

    Attributes:
        owner: whose names they are.
        modules: its modules outside of blocks -> ours; empty: all names are ours, after the prefixes.
        block: pattern of the beginning of a block's names; its groups are the block's numbers.
        forms: forms of a block.
        prefixes: what is left out at the beginning of each name; names without the first prefix are not read.
        doubled: whether wrappers repeat names, as in `conv.conv.weight`.
        transposed: whether matrices of kernels multiply from the left.
        zeros: our tensors that its networks lack, because they are zero there.
        epsilon: number that its batch norms add to the variance; None: not known, or as here.
    """

    owner: str
    modules: Mapping[str, str] = field(default_factory=dict)
    block: str = ""
    forms: tuple[Form, ...] = ()
    prefixes: tuple[str, ...] = ()
    doubled: bool = False
    transposed: bool = False
    zeros: tuple[str, ...] = ()
    epsilon: float | None = None

    def ours(self, names: Iterable[str]) -> dict[str, str]:
        """Our name -> the given name, for all that the table knows."""
        if not self.modules:
            return {self._without_prefixes(name): name for name in names if name.startswith(self.prefixes[:1] or "")}
        found: dict[str, str] = {}
        blocks: dict[tuple[int, ...], dict[str, str]] = {}
        for name in names:
            plain = DOUBLED.sub(r"\1.", name) if self.doubled else name
            match = re.match(self.block, plain)
            if match is None:
                known = _renamed(plain, self.modules)
                found |= {} if known is None else {known: name}
            else:
                blocks.setdefault(tuple(map(int, match.groups())), {})[plain[match.end() :]] = name
        for number, key in enumerate(sorted(blocks)):
            modules = next((table for marker, table in self.forms if marker in blocks[key]), {})
            for rest, name in blocks[key].items():
                known = _renamed(rest, modules)
                found |= {} if known is None else {known.format(number): name}
        return found

    def _without_prefixes(self, name: str) -> str:
        for prefix in self.prefixes:
            name = name.removeprefix(prefix)
        return name


def _renamed(name: str, modules: Mapping[str, str]) -> str | None:
    """The name of a module's tensor, or of a tensor that stands in the table itself; None if it is unknown."""
    if name in modules:
        return modules[name]
    module, _, last = name.rpartition(".")
    return f"{modules[module]}.{last}" if module in modules else None


def _block(**parts: str) -> dict[str, str]:
    """Modules of a block by ours: `expand_0="conv_pw"` says that `conv_pw` is our `expand.0`."""
    return {theirs: f"blocks.{{}}.{ours.replace('_', '.')}" for ours, theirs in parts.items()}


def _sequence(*parts: str) -> dict[str, str]:
    """Modules of a block that are numbered; each is a sequence of convolution and norm, or squeeze-and-excitation."""
    found: dict[str, str] = {}
    for number, part in enumerate(parts):
        names = {"fc1": "reduce", "fc2": "expand"} if part == "squeeze" else {"0": "0", "1": "1"}
        found |= {f"{number}.{theirs}": f"blocks.{{}}.{part}.{ours}" for theirs, ours in names.items()}
    return found


LITE = Layout(
    owner="efficientnet_lite_pytorch",
    modules={"_conv_stem": "stem.0", "_bn0": "stem.1", "_conv_head": "head.0", "_bn1": "head.1", "_fc": "classifier"},
    block=r"_blocks\.(\d+)\.",
    forms=(
        (
            "_project_conv.weight",
            _block(
                expand_0="_expand_conv",
                expand_1="_bn0",
                depthwise_0="_depthwise_conv",
                depthwise_1="_bn1",
                squeeze_reduce="_se_reduce",
                squeeze_expand="_se_expand",
                project_0="_project_conv",
                project_1="_bn2",
            ),  # fmt: skip
        ),
    ),
    epsilon=1e-3,
)
TIMM_SQUEEZE = {"squeeze_reduce": "se.conv_reduce", "squeeze_expand": "se.conv_expand"}
TIMM_FORMS: tuple[Form, ...] = (
    (
        "conv_pwl.weight",
        _block(
            expand_0="conv_pw", expand_1="bn1", depthwise_0="conv_dw", depthwise_1="bn2",
            project_0="conv_pwl", project_1="bn3", **TIMM_SQUEEZE,
        ),
    ),
    (
        "conv_pw.weight",
        _block(depthwise_0="conv_dw", depthwise_1="bn1", project_0="conv_pw", project_1="bn2", **TIMM_SQUEEZE),
    ),
    ("conv.weight", {"conv": "head.0", "bn1": "head.1"}),
)  # fmt: skip
TIMM_BLOCK = r"blocks\.(\d+)\.(\d+)\."
TIMM_STEM = {"conv_stem": "stem.0", "bn1": "stem.1", "classifier": "classifier"}
TIMM_EFFICIENTNET = Layout(
    owner="timm's EfficientNet",
    modules={**TIMM_STEM, "conv_head": "head.0", "bn2": "head.1"},
    block=TIMM_BLOCK,
    forms=TIMM_FORMS,
)
TIMM_MOBILENET = Layout(
    owner="timm's MobileNetV3",
    modules={**TIMM_STEM, "conv_head": "features.0"},
    block=TIMM_BLOCK,
    forms=TIMM_FORMS,
)
TORCHVISION = Layout(
    owner="torchvision's MobileNetV3",
    modules={
        "features.0.0": "stem.0", "features.0.1": "stem.1",
        "features.12.0": "head.0", "features.12.1": "head.1",  # Small
        "features.16.0": "head.0", "features.16.1": "head.1",  # Large
        "classifier.0": "features.0", "classifier.3": "classifier",
    },
    block=r"features\.(\d+)\.block\.",
    forms=(
        ("3.0.weight", _sequence("expand", "depthwise", "squeeze", "project")),
        ("1.fc1.weight", _sequence("depthwise", "squeeze", "project")),
        ("2.0.weight", _sequence("expand", "depthwise", "project")),
        ("1.0.weight", _sequence("depthwise", "project")),
    ),
    epsilon=1e-3,
)  # fmt: skip
OFA = Layout(
    owner="Once-for-All",
    modules={
        "first_conv.conv": "stem.0", "first_conv.bn": "stem.1",
        "final_expand_layer.conv": "head.0", "final_expand_layer.bn": "head.1",
        "feature_mix_layer.conv": "features.0", "classifier.linear": "classifier",
    },
    block=r"blocks\.(\d+)\.(?:mobile_inverted_conv|conv)\.",
    forms=(
        (
            "depth_conv.conv.weight",
            {
                **_block(
                    expand_0="inverted_bottleneck.conv", expand_1="inverted_bottleneck.bn",
                    depthwise_0="depth_conv.conv", depthwise_1="depth_conv.bn",
                    squeeze_reduce="depth_conv.se.fc.reduce", squeeze_expand="depth_conv.se.fc.expand",
                    project_0="point_linear.conv", project_1="point_linear.bn",
                ),
                "depth_conv.conv.7to5_matrix": f"{TRANSFORMS}{{}}_5",
                "depth_conv.conv.5to3_matrix": f"{TRANSFORMS}{{}}_3",
            },
        ),
    ),
    doubled=True,
    transposed=True,
    zeros=("features.0.bias",),
)  # fmt: skip
LAYOUTS = (
    Layout(owner="chronas"),
    Layout(owner="a supernet of chronas", prefixes=("mean.", "network.")),
    LITE,
    TIMM_EFFICIENTNET,
    TIMM_MOBILENET,
    TORCHVISION,
    OFA,
)

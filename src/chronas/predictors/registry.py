"""The predictors by their names, and reading a saved one back."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from pydantic import BaseModel

from chronas.errors import DataError, NotRegisteredError
from chronas.networks import load_state
from chronas.predictors.predictor import Predictor
from chronas.registry import Registry
from chronas.spaces import NetworkSize, Space

PREDICTORS = Registry(
    "predictor",
    {
        "macs": "chronas.predictors.linear:Macs",
        "lookup": "chronas.predictors.linear:Lookup",
        "pairs": "chronas.predictors.gaussian_process:PairTable",
        "lpm": "chronas.predictors.lpm:LatencyPredictionModule",
        "graph": "chronas.predictors.gnn:GraphNetwork",
        "boosted": "chronas.predictors.boosted:BoostedTrees",
        "gp": "chronas.predictors.gaussian_process:GaussianProcess",
        "ensemble": "chronas.predictors.stacking:Stacked",
        "transfer": "chronas.predictors.transfer:Transfer",
    },
)


def predictor_class(predictor: str | type[Predictor]) -> type[Predictor]:
    """The class of a name in `PREDICTORS`; a class is given back as it is.

    Raises:
        UsageError: there is no such predictor.
    """
    return cast("type[Predictor]", PREDICTORS[predictor]) if isinstance(predictor, str) else predictor


def make_predictor(
    predictor: str | type[Predictor] | Predictor, space: Space, size: NetworkSize, config: BaseModel | None = None
) -> Predictor:
    """An unfitted predictor of the costs of `space` in `size`.

    Args:
        predictor: a name in `PREDICTORS`, a class, or a predictor, of which an unfitted one with its config is made.
        space: whose encodings it reads.
        size: that all networks share.
        config: of the predictor's own `Config` class; None means its defaults.

    Raises:
        UsageError: there is no such predictor, or the config is another's.
    """
    if isinstance(predictor, Predictor):
        return type(predictor)(space, size, predictor.config if config is None else config)
    return predictor_class(predictor)(space, size, config)


def load_predictor(path: Path, space: Space | None = None, predictor: type[Predictor] | None = None) -> Predictor:
    """The predictor that `Predictor.save` wrote; its predictions are bit-identical.

    Args:
        path: the file.
        space: that it is of; None: the one of that name in `SPACES`.
        predictor: its class; None: the one of its name in `PREDICTORS`.

    Raises:
        DataError: the file is missing, damaged or holds something else than a fitted predictor.
        MismatchError: it is of another space, or by another predictor, than the given one.
        NotRegisteredError: it is of a space or by a predictor of somebody's own that this program does not have.
    """
    tensors, content = load_state(path)
    name = content.get("predictor")
    if not isinstance(name, str):
        raise DataError(f"{path} should hold one of the predictors {', '.join(PREDICTORS)}: fit and save one again")
    if predictor is None and name not in PREDICTORS:
        made_by = f" (class {content['class']})" if content.get("class") else ""
        raise NotRegisteredError(
            f"{path} is by predictor {name!r}{made_by}, which is not registered here: give its class as `predictor=`, "
            f"call `chronas.register(class)` first, or install the package with its entry point in {PREDICTORS.group}"
        )
    return (predictor or predictor_class(name)).restored(path, tensors, content, space)

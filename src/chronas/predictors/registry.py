"""Predictors by name, and loading of saved ones."""

from __future__ import annotations

from pathlib import Path
from typing import cast

from pydantic import BaseModel

from chronas.errors import DataError, NotRegisteredError
from chronas.networks import load_state
from chronas.predictors import PREDICTORS
from chronas.predictors.predictor import Predictor
from chronas.spaces import NetworkSize, Space


def predictor_class(predictor: str | type[Predictor]) -> type[Predictor]:
    """The class of a name in `PREDICTORS`; a class is returned unchanged.

    Raises:
        UsageError: there is no such predictor.
    """
    return cast("type[Predictor]", PREDICTORS[predictor]) if isinstance(predictor, str) else predictor


def make_predictor(
    predictor: str | type[Predictor] | Predictor, space: Space, size: NetworkSize, config: BaseModel | None = None
) -> Predictor:
    """An unfitted predictor of the costs of `space` in `size`.

    Args:
        predictor: a name in `PREDICTORS`, a class, or a predictor, whose class and config are used.
        space: space of the encodings.
        size: size of all networks.
        config: an instance of the predictor's own `Config` class; None means its defaults.

    Raises:
        UsageError: there is no such predictor, or the config belongs to another one.
    """
    if isinstance(predictor, Predictor):
        return type(predictor)(space, size, predictor.config if config is None else config)
    return predictor_class(predictor)(space, size, config)


def load_predictor(path: Path, space: Space | None = None, predictor: type[Predictor] | None = None) -> Predictor:
    """Load a predictor that `Predictor.save` wrote; its predictions are bit-identical.

    Args:
        path: the file.
        space: its space; None: the one of that name in `SPACES`.
        predictor: its class; None: the one of its name in `PREDICTORS`.

    Raises:
        DataError: the file is missing, damaged or not a fitted predictor.
        MismatchError: the file is of another space or predictor than the given one.
        NotRegisteredError: the file is of a user's own space or predictor that this program does not have.
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

"""Names, objects and entry points: what is registered is found, and what is not says what there is."""

from __future__ import annotations

import pytest

from chronas.errors import UsageError
from chronas.registry import Registry, import_path, packed, unpacked


@pytest.fixture
def shapes() -> Registry:
    return Registry("shape", {"path": "pathlib:Path", "fraction": "fractions:Fraction"})


def test_a_built_in_name_is_imported_when_it_is_asked_for(shapes: Registry) -> None:
    assert shapes["fraction"](1, 2) == 0.5
    assert list(shapes) == ["path", "fraction"] and len(shapes) == 2


def test_an_unknown_name_tells_the_nearest(shapes: Registry) -> None:
    with pytest.raises(UsageError, match="unknown shape 'pth': did you mean path"):
        shapes["pth"]
    assert shapes.get("pth") is None and "pth" not in shapes


def test_what_is_registered_is_found_and_a_second_takes_the_firsts_place(shapes: Registry) -> None:
    shapes.register("mine", int)
    shapes.register("mine", float)
    assert shapes["mine"] is float and list(shapes)[-1] == "mine"
    shapes.unregister("mine")
    assert "mine" not in shapes
    with pytest.raises(UsageError, match="unknown registered shape 'mine'"):
        shapes.unregister("mine")


@pytest.mark.parametrize("name", ["path", "", "a b", "a/b"])
def test_a_name_of_ours_and_one_that_is_no_word_are_refused(shapes: Registry, name: str) -> None:
    with pytest.raises(UsageError, match="name|comes with chronas"):
        shapes.register(name, int)


def test_objects_of_the_main_script_travel_to_worker_processes() -> None:
    class Local:
        value = 3

    assert unpacked(packed(Local, 5))[0].value == 3
    assert import_path(Local()).endswith("test_objects_of_the_main_script_travel_to_worker_processes.<locals>.Local")

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, create_model, model_validator

from chronas.cli.options import Call, Groups, Options, help_text, read
from chronas.errors import UsageError

WORD = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)


class Tyres(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    width_mm: int = Field(default=28, ge=20, description="of the tread")
    pressure: float | None = Field(default=None, gt=0, description="bar")
    most: int = Field(default=40, description="widest")
    tubeless: bool = Field(default=True, description="no tube")
    spokes: Literal[24, 32] = Field(default=32, description="of each wheel")
    sizes: tuple[float, float] | None = Field(default=None, description="smallest and largest")

    @model_validator(mode="after")
    def _ordered(self) -> Tyres:
        if self.width_mm > self.most:
            raise ValueError(f"width_mm should be at most most ({self.most}), got {self.width_mm}")
        return self


class Bicycle(Options):
    FIRST: ClassVar[tuple[str, ...]] = ("name", "gears", "device", "json_answer")

    gears: int = Field(default=3, ge=1, le=12, description="sprockets")
    name: str = Field(description="what it is called")
    where: Path = Field(default=Path("shed"), description="place, 100 % dry")
    device: str = Field(default="simulated", description="what it is measured by")
    riders: tuple[str, ...] = Field(default=(), description="who rides")
    sold: bool = Field(default=False, description="gone")


class Parcel(Options):
    POSITIONAL: ClassVar[tuple[str, ...]] = ("files",)

    files: tuple[Path, ...] = Field(description="what is in it")
    weight_kg: float | None = Field(default=None, description="if weighed")


def groups_of(options: Any) -> Groups:
    return Groups({"tyres": Tyres(width_mm=35), "device": Tyres()}, base=options.gears)


def ride(*words: str) -> Call[Bicycle]:
    return read(Bicycle, words, "chronas ride", "chronas ride", groups_of)


def test_fields_are_flags_and_groups_keep_their_defaults() -> None:
    call = ride("--name", "x", "--riders", "a", "b", "--tyres.pressure=4.5", "--json", "--sold")
    assert call.options == Bicycle(name="x", riders=("a", "b"), json=True, sold=True)  # type: ignore[call-arg]
    assert call.groups["tyres"] == Tyres(width_mm=35, pressure=4.5)
    assert call.flags == {"--name", "--riders", "--tyres.pressure", "--json", "--sold"}
    assert call.base == 3


def test_values_of_groups_are_numbers_choices_pairs_and_nothing() -> None:
    words = ["--tyres.spokes", "24", "--tyres.no-tubeless", "--tyres.sizes", "1.5", "2", "--tyres.pressure", "None"]
    tyres = ride("--name", "x", *words).groups["tyres"]
    assert tyres == Tyres(width_mm=35, spokes=24, tubeless=False, sizes=(1.5, 2.0), pressure=None)


def test_underscores_are_taken_for_hyphens() -> None:
    assert ride("--name", "a_b", "--tyres.width_mm", "30").groups["tyres"] == Tyres(width_mm=30)


@pytest.mark.parametrize("words", [["--device", "eager-cpu:9"], ["--device=eager-cpu:9"]])
def test_a_name_may_bring_the_setting_that_it_is_called_after(words: list[str]) -> None:
    def groups(options: Bicycle) -> Groups:
        return Groups({"device": create_model("Config", **{"eager-cpu": (str, "")})()})  # type: ignore[call-overload]

    call = read(Bicycle, ["--name", "x", *words], "", "chronas ride", groups)
    assert call.options.device == "eager-cpu"
    assert getattr(call.groups["device"], "eager-cpu") == "9"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", "--name is needed: what it is called"),
        ("--name", "argument --name: expected one argument"),
        ("--name x --gears many", "--gears: input should be a valid integer, "),
        ("--name x --gears 13", "--gears: input should be less than or equal to 12, got 13"),
        ("--name x --gaers 2", "there is no option --gaers: did you mean --gears?"),
        ("--name x y", "nothing takes 'y' here"),
        ("--name x --tyres.width-mm 10", "--tyres.width-mm: input should be greater than or equal to 20, got 10"),
        ("--name x --tyres.pressure -1", "--tyres.pressure: input should be greater than 0, got -1"),
        ("--name x --tyres.spokes 25", "--tyres.spokes: input should be 24 or 32, got 25"),
        ("--name x --tyres.width-mm 50", "tyres: width_mm should be at most most (40), got 50"),
        ("--name x --tyres.widht-mm 30", "there is no option --tyres.widht-mm: did you mean --tyres.width-mm?"),
        ("--name x --device simulate", "unknown device 'simulate': did you mean simulated?"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_one_line_that_names_the_flag(words: str, expected: str) -> None:
    with pytest.raises(UsageError) as error:
        ride(*words.split())
    assert str(error.value).startswith(expected)
    assert str(error.value).endswith("; see chronas ride --help")
    assert len(str(error.value).splitlines()) == 1


@given(st.lists(WORD, max_size=4))
def test_any_words_are_read_or_refused(words: list[str]) -> None:
    try:
        call = ride("--name", "x", *words)
    except UsageError:
        return
    assert call.options.name or "--name" in words


@given(st.lists(st.text(st.characters(categories=("L", "N")), min_size=1, max_size=5), min_size=1, max_size=4))
def test_what_needs_no_flag_is_taken_in_its_order(names: list[str]) -> None:
    call = read(Parcel, [*names, "--weight-kg", "2"], "", "chronas send")
    assert call.options == Parcel(files=tuple(map(Path, names)), weight_kg=2)
    assert call.flags == {"FILES", "--weight-kg"}


def test_help_tells_first_flags_then_a_group_then_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    more = {"tyres": "the wheels"}

    def shown(topic: str | None, model: type[Options] = Bicycle) -> str:
        groups = Groups() if topic is None else groups_of(Bicycle(name="x"))
        return " ".join(help_text(model, groups, "chronas ride", "Ride.", more, topic).split())

    first = shown(None)
    assert "Ride." in first
    assert "--gears INT sprockets (default: 3)" in first
    assert "--device {onnxruntime-cpu" in first
    assert "--where" not in first
    assert "more all other flags without a group tyres the wheels" in first
    assert "--where PATH place, 100 % dry (default: shed)" in shown("more")
    assert "--tyres.width-mm INT of the tread (default: 35)" in shown("tyres")
    assert "--gears" not in shown("tyres")
    assert {"--gears", "--where", "--tyres.no-tubeless"} <= {*shown("all").split()}
    with pytest.raises(UsageError, match="unknown topic of help 'tyers': did you mean tyres"):
        shown("tyers")


def test_options_are_frozen_and_have_no_other_fields() -> None:
    options = ride("--name", "x").options
    with pytest.raises(ValueError, match="frozen"):
        options.json_answer = True
    with pytest.raises(ValueError, match="Extra inputs"):
        Bicycle(name="x", wheels=2)  # type: ignore[call-arg]

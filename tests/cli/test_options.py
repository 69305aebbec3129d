from __future__ import annotations

from pathlib import Path

import pytest
import tyro
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, model_validator

from chronas.cli.options import Options, one_line, part, read_names, read_options, with_names, with_parts
from chronas.errors import UsageError

Capture = pytest.CaptureFixture[str]
VALID = {"device": {"fast": 1, "slow": 2}, "space": {"small": 1, "large": 2}}
DEFAULTS = {"device": "fast", "space": "small"}
WORD = st.text(st.characters(exclude_categories=("Cs",)), max_size=8)


class Tyres(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    width_mm: int = Field(default=28, ge=20, description="of the tread")
    pressure: float | None = Field(default=None, gt=0, description="bar")
    most: int = Field(default=40, description="widest")

    @model_validator(mode="after")
    def _ordered(self) -> Tyres:
        if self.width_mm > self.most:
            raise ValueError(f"width_mm should be at most most ({self.most}), got {self.width_mm}")
        return self


class Bicycle(Options):
    gears: int = Field(default=3, ge=1, le=12, description="sprockets")
    name: str = Field(description="what it is called")
    where: Path = Field(default=Path("shed"), description="place")


def read(*words: str, model: type[Options] = Bicycle) -> Options:
    return read_options(model, list(words), prog="chronas ride", description="Ride.")


@pytest.mark.parametrize(
    ("words", "names", "rest"),
    [
        ([], DEFAULTS, []),
        (["--device", "slow"], {"device": "slow", "space": "small"}, []),
        (["--device=slow", "--space=large"], {"device": "slow", "space": "large"}, []),
        (["--device", "slow", "--device", "fast"], DEFAULTS, []),
        (
            ["x", "--device.threads", "2", "--space", "large", "y"],
            DEFAULTS | {"space": "large"},
            ["x", *["--device.threads", "2", "y"]],
        ),
        (["--device", "slow:./a b:c", "x"], DEFAULTS | {"device": "slow"}, ["--device.slow=./a b:c", "x"]),
        (["--space=large:", "x"], DEFAULTS | {"space": "large"}, ["--space.large=", "x"]),
        (["-device", "slow", "device"], DEFAULTS, ["-device", "slow", "device"]),
        (["--devices", "slow"], DEFAULTS, ["--devices", "slow"]),
    ],
)
def test_names_are_taken_and_all_other_words_stay_in_order(
    words: list[str], names: dict[str, str], rest: list[str]
) -> None:
    given_words = list(words)
    assert read_names(words, VALID, DEFAULTS) == (names, rest)
    assert words == given_words


@given(before=st.lists(WORD, max_size=3), after=st.lists(WORD, max_size=3), equals=st.booleans())
def test_a_name_is_found_wherever_it_stands(before: list[str], after: list[str], equals: bool) -> None:
    flag = ["--device=slow"] if equals else ["--device", "slow"]
    names, rest = read_names([*before, *flag, *after], VALID, DEFAULTS)
    assert names == {"device": "slow", "space": "small"}
    assert rest == [*before, *after]


@given(st.text(max_size=20))
def test_an_unknown_name_is_refused_with_the_valid_ones(name: str) -> None:
    if name.partition(":")[0] in VALID["device"]:
        return
    for words in (["--device", name], [f"--device={name}"]):
        with pytest.raises(UsageError, match="valid names are fast, slow"):
            read_names(words, VALID, DEFAULTS)


def test_a_name_that_is_missing_is_asked_for() -> None:
    with pytest.raises(UsageError, match="--space needs a name: one of small, large"):
        read_names(["x", "--space"], VALID, DEFAULTS)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("", "Missing from chronas ride: --name STR what it is called (required)"),
        ("--name", "Missing value for argument '--name'. Expected 1 values."),
        ("--name x --gears many", "Error parsing --gears: invalid literal for int() with base 10: 'many'"),
        ("--name x --gears 13", "--gears: input should be less than or equal to 12, got 13"),
        ("--name x --gaers 2", "Unrecognized options: --gaers, 2 (did you mean --gears?)"),
        ("--name x y", "Unrecognized options: y"),
        ("--name x --tyres.width-mm 10", "--tyres.width-mm: input should be greater than or equal to 20, got 10"),
        ("--name x --tyres.pressure -1", "--tyres.pressure: input should be greater than 0, got -1.0"),
        ("--name x --tyres.pressure much", "Error parsing --tyres.pressure: expected {None}|FLOAT, got 'much'"),
        ("--name x --tyres.width-mm 50", "tyres: width_mm should be at most most (40), got 50"),
    ],
)
def test_what_does_not_fit_is_one_line_that_names_the_flag(words: str, expected: str) -> None:
    model = with_parts(Bicycle, {"tyres": Tyres()})
    with pytest.raises(UsageError) as error:
        read(*words.split(), model=model)
    assert str(error.value) == f"{expected}; see chronas ride --help"


@given(st.text())
def test_any_box_becomes_one_line(box: str) -> None:
    line = one_line(box)
    assert line
    assert len(line.splitlines()) == 1


def test_groups_keep_their_defaults_and_take_their_flags() -> None:
    model = with_parts(Bicycle, {"tyres": Tyres(width_mm=35)})
    assert part(read("--name", "x", model=model), "tyres") == Tyres(width_mm=35)
    options = read("--name", "x", "--tyres.pressure", "4.5", "--json", model=model)
    assert part(options, "tyres") == Tyres(width_mm=35, pressure=4.5)
    assert options.json_answer is True


def test_help_lists_names_that_decide_the_groups(capsys: Capture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    model = with_parts(with_names(Bicycle, VALID, {"device": "slow", "space": "large"}), {"device": Tyres()})
    with pytest.raises(SystemExit) as end:
        read("--help", model=model)
    assert end.value.code == 0
    text = " ".join(capsys.readouterr().out.split())
    assert "--device {fast,slow}" in text
    assert "(default: slow)" in text
    assert "--space {small,large}" in text
    assert "--device.width-mm INT of the tread (default: 28)" in text


def test_options_are_frozen_and_have_no_other_fields() -> None:
    options = read("--name", "x")
    with pytest.raises(ValueError, match="frozen"):
        options.json_answer = True
    with pytest.raises(ValueError, match="Extra inputs"):
        Bicycle(name="x", wheels=2)  # type: ignore[call-arg]


def test_the_terminals_width_is_left_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    import os

    for before in ("77", None):
        if before is None:
            monkeypatch.delenv("COLUMNS")
        else:
            monkeypatch.setenv("COLUMNS", before)
        with pytest.raises(UsageError):
            read("--name")
        assert os.environ.get("COLUMNS") == before


def test_flags_of_chronas_are_tyros_plain_ones() -> None:
    assert tyro.cli(Bicycle, args=["--name", "x", "--where", "a/b"]).where == Path("a/b")

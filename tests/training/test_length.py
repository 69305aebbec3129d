"""Trainings of some steps or minutes: the plan is made once, is kept, and a killed one goes on to the same bits."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from chronas.errors import DataError, MismatchError
from chronas.training import Budget, length
from short_training import PER_EPOCH, RECIPE, Killed, same, trained, weights

MINUTES = Budget(minutes=0.03)


@pytest.mark.parametrize("kill_at", [2, 5])
def test_steps_replace_epochs_and_a_killed_training_goes_on_to_the_same_bits(kill_at: int, tmp_path: Path) -> None:
    _, training = trained(tmp_path / "whole", budget=Budget(steps=6))
    assert [row["epoch"] for row in training.history] == [1, 2] and training.steps == 6
    rates = [RECIPE.learning_rate_at(0.0), RECIPE.learning_rate_at(PER_EPOCH / 6)]
    assert [row["learning_rate"] for row in training.history] == pytest.approx(rates)
    with pytest.raises(Killed):
        trained(tmp_path / "killed", budget=Budget(steps=6), kill_at=kill_at)
    trained(tmp_path / "killed", budget=Budget(steps=6))
    for name in ("best", "last"):
        assert same(weights(tmp_path / "whole", name), weights(tmp_path / "killed", name))


def test_as_many_steps_as_the_epochs_have_give_the_same_weights(tmp_path: Path) -> None:
    trained(tmp_path / "epochs")
    trained(tmp_path / "steps", budget=Budget(steps=RECIPE.epochs * PER_EPOCH))
    assert same(weights(tmp_path / "epochs"), weights(tmp_path / "steps"))


def test_a_training_has_at_least_a_part_of_an_epoch(tmp_path: Path) -> None:
    _, training = trained(tmp_path, budget=Budget(steps=1))
    assert [row["epoch"] for row in training.history] == [1]
    again, repeated = trained(tmp_path, budget=Budget(steps=1))
    assert repeated == training and same(dict(again.state_dict()), weights(tmp_path))


def test_minutes_become_steps_once_and_a_killed_training_keeps_their_number(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(length, "MOST", 4)  # timing is short, however slow the machine
    told: list[str] = []
    with pytest.raises(Killed):
        trained(tmp_path / "killed", budget=MINUTES, kill_at=5, told=told)
    plan = json.loads((tmp_path / "killed" / "plan.json").read_text())
    assert len(told) == 1 and told[0].startswith(f"plan training: {plan['steps']:,} steps (")
    assert told[0].endswith("fit into 1.8 s") and plan["steps"] > 5
    _, training = trained(tmp_path / "killed", budget=MINUTES, told=told)
    assert sum(line.startswith("plan training") for line in told) == 1 and training.steps == plan["steps"]
    trained(tmp_path / "whole", budget=Budget(steps=plan["steps"]))
    for name in ("best", "last"):
        assert same(weights(tmp_path / "whole", name), weights(tmp_path / "killed", name))


def test_timing_leaves_the_training_as_it_would_be_without(tmp_path: Path) -> None:
    few = Budget(minutes=1e-6)
    _, training = trained(tmp_path / "minutes", budget=few)
    assert training.steps == 1
    trained(tmp_path / "steps", budget=Budget(steps=1))
    assert same(weights(tmp_path / "minutes"), weights(tmp_path / "steps"))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"budget": Budget(minutes=1)}, "minutes 1e-06 instead of 1"),
        ({"budget": Budget(minutes=1e-6), "recipe": RECIPE.model_copy(update={"cutout": 3})}, "recipe"),
        ({"budget": Budget(steps=9)}, "steps 1 instead of 9"),
        ({}, "steps 1 instead of None"),
    ],
    ids=["minutes", "recipe", "steps", "epochs"],
)
def test_a_folder_of_another_length_is_refused(change: dict[str, object], message: str, tmp_path: Path) -> None:
    trained(tmp_path, budget=Budget(minutes=1e-6))
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(MismatchError, match=f"belongs to another training .*{message}"):
        trained(tmp_path, **change)  # type: ignore[arg-type]
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_damaged_plan_is_refused(tmp_path: Path) -> None:
    (tmp_path / "plan.json").write_text('{"schema": "chronas.training-plan/1", "steps": "many"}')
    with pytest.raises(DataError, match=r"plan\.json is damaged"):
        trained(tmp_path, budget=MINUTES)


@pytest.mark.parametrize("wrong", [{"steps": 0}, {"minutes": 0}, {"minutes": float("inf")}, {"steps": 1, "minutes": 1}])
def test_a_budget_has_one_length_above_zero(wrong: dict[str, float]) -> None:
    with pytest.raises(ValidationError):
        Budget.model_validate(wrong)

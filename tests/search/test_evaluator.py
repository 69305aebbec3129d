"""Evaluators say one finite number for each architecture, or the search ends with what to do."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from chronas.errors import DataError, MismatchError, UsageError
from chronas.search import TableEvaluator, Task, make_searcher
from chronas.search.evaluator import Given, evaluator_identity
from chronas.search.random import RandomConfig
from chronas.spaces import Architecture, make_space

MakeTask = Callable[..., Task]
FEW = RandomConfig(architectures=4)


def count_convolutions(architectures: Sequence[Architecture]) -> list[float]:
    return [100.0 * str(each).count("conv") / 6 for each in architectures]


def test_a_users_function_is_asked_and_its_answers_are_in_the_history(make_task: MakeTask) -> None:
    task = replace(make_task("nasbench201"), evaluate=count_convolutions)
    found = make_searcher("random", FEW).search(task)
    assert [row["validation_accuracy"] for row in found.history] == [
        100.0 * row["mode"].count("conv") / 6 for row in found.history
    ]
    assert all(row["train_loss"] is None for row in found.history)
    assert found.score([next(found.candidates({})).architecture]) is None
    best = str(next(found.candidates({})).architecture)
    assert best.count("conv") == max(row["mode"].count("conv") for row in found.history)


@pytest.mark.parametrize(
    "answer",
    [lambda a: [1.0], lambda a: [float("nan")] * len(a), lambda a: [1.0] * (len(a) + 1), lambda a: [-float("inf")]],
    ids=["too few", "nan", "too many", "infinite"],
)
def test_answers_that_cannot_be_used_are_refused(answer: Callable[..., list[float]]) -> None:
    architectures = make_space("nasbench201").sample(2, seed=0)
    with pytest.raises(DataError, match="should give 2 finite numbers, one for each architecture, got"):
        Given(answer)(architectures)


def test_a_table_says_what_it_has_and_that_it_lacks_one() -> None:
    first, second = make_space("nasbench201").sample(2, seed=0)
    table = TableEvaluator({str(first): 91.5})
    assert table([first, first]) == [91.5, 91.5]
    with pytest.raises(UsageError, match="the table has 1 accuracies, but not of"):
        table([first, second])


def test_another_evaluator_does_not_take_over_a_journal(make_task: MakeTask) -> None:
    task = replace(make_task("nasbench201"), evaluate=count_convolutions)
    make_searcher("random", FEW).search(task)
    table = TableEvaluator({str(each): 1.0 for each in task.space.every()})
    for other in (None, table, lambda architectures: [1.0] * len(architectures)):
        with pytest.raises(MismatchError, match="evaluate = function count_convolutions"):
            make_searcher("random", FEW).search(replace(task, evaluate=other))


def test_evaluators_are_known_by_what_they_say_of_themselves() -> None:
    tables = [TableEvaluator({"a": 1.0, "b": 2.0}), TableEvaluator({"b": 2.0, "a": 1.0}), TableEvaluator({"a": 1.0})]
    names = [evaluator_identity(table) for table in tables]
    assert names[0] == names[1] != names[2]
    assert Given(tables[0]).identity() == names[0]
    assert evaluator_identity(count_convolutions) == "function count_convolutions"

"""Evaluators say one number for each architecture, or the search ends with what to do; failures are counted."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace

import pytest

from chronas.errors import DataError, MismatchError, UsageError
from chronas.search import TableEvaluator, Task, make_searcher, searcher_class
from chronas.search.blackbox.loop import BlackBoxResult
from chronas.search.blackbox.random_search import RandomConfig
from chronas.search.objective import FunctionEvaluator, evaluator_identity
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
    [lambda a: [1.0], lambda a: [1.0] * (len(a) + 1), lambda a: None, lambda a: ["x"] * len(a)],
    ids=["too few", "too many", "none", "texts"],
)
def test_answers_that_cannot_be_used_are_refused(answer: Callable[..., list[float]]) -> None:
    architectures = make_space("nasbench201").sample(2, seed=0)
    with pytest.raises(DataError, match="should give 2 numbers, one for each architecture, got"):
        FunctionEvaluator(answer)(architectures)


def half_fail(architectures: Sequence[Architecture]) -> list[float]:
    return [float("nan") if "1x1" in str(each) else 50.0 + str(each).count("3x3") for each in architectures]


@pytest.mark.parametrize("searcher", ["random", "evolution", "local-search", "nsga2", "bayesian"])
def test_failed_evaluations_are_counted_and_named_and_the_search_goes_on(searcher: str, make_task: MakeTask) -> None:
    task = replace(make_task("nasbench201"), evaluate=half_fail)
    config = searcher_class(searcher).Config(architectures=24)
    notes: list[str] = []
    found = make_searcher(searcher, config).search(task, lambda step, done, total, note: notes.append(note))
    assert isinstance(found, BlackBoxResult) and len(found.history) == 24
    failed = {str(each) for each in found.failed}
    assert failed == {row["mode"] for row in found.history if row["validation_accuracy"] is None}
    assert failed and all("1x1" in text for text in failed)
    assert {f"failed: {text}" for text in failed} <= set(notes)
    assert failed.isdisjoint(str(each.architecture) for each in found.candidates({}))
    again = make_searcher(searcher, config).search(task)
    assert [str(each.architecture) for each in again.candidates({})] == [
        str(each.architecture) for each in found.candidates({})
    ]


def test_a_search_whose_evaluations_all_fail_says_so(make_task: MakeTask) -> None:
    task = replace(make_task("nasbench201"), evaluate=lambda architectures: [float("inf")] * len(architectures))
    with pytest.raises(DataError, match=r"no finite number for any of 4 architectures, at first not for \|"):
        make_searcher("random", FEW).search(task)


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
        with pytest.raises(MismatchError, match="function count_convolutions"):
            make_searcher("random", FEW).search(replace(task, evaluate=other))


def test_a_corrected_evaluator_goes_on_when_told_so(make_task: MakeTask) -> None:
    def fails_late(architectures: Sequence[Architecture]) -> list[float]:
        asked.extend(map(str, architectures))
        if len(asked) > 7:
            raise ValueError("a fault of the user")
        return count_convolutions(architectures)

    def corrected(architectures: Sequence[Architecture]) -> list[float]:
        asked.extend(map(str, architectures))
        return count_convolutions(architectures)

    asked: list[str] = []
    searcher = make_searcher("evolution", searcher_class("evolution").Config(architectures=12))
    task = replace(make_task("nasbench201"), evaluate=fails_late)
    with pytest.raises(ValueError, match="a fault of the user"):
        searcher.search(task)
    scored = asked[:-1]
    asked.clear()
    with pytest.raises(MismatchError, match="give keep_scores=True to go on"):
        searcher.search(replace(task, evaluate=corrected))
    found = searcher.search(replace(task, evaluate=corrected, keep_scores=True))
    assert scored and set(scored).isdisjoint(asked) and [row["mode"] for row in found.history] == scored + asked
    assert searcher.search(replace(task, evaluate=corrected)).history == found.history


def test_evaluators_are_known_by_what_they_say_of_themselves() -> None:
    tables = [TableEvaluator({"a": 1.0, "b": 2.0}), TableEvaluator({"b": 2.0, "a": 1.0}), TableEvaluator({"a": 1.0})]
    names = [evaluator_identity(table) for table in tables]
    assert names[0] == names[1] != names[2]
    assert FunctionEvaluator(tables[0]).identity() == names[0]
    assert evaluator_identity(count_convolutions).startswith("function count_convolutions ")


class Judge:
    """An evaluator with a state, which can be called."""

    def __init__(self, worth: float) -> None:
        self.worth = worth

    def __call__(self, architectures: Sequence[Architecture]) -> list[float]:
        return [self.worth] * len(architectures)

    def rated(self, architectures: Sequence[Architecture]) -> list[float]:
        return [2 * self.worth] * len(architectures)


class Named(Judge):
    def identity(self) -> str:
        return f"judge of worth {self.worth}"


def worth(value: float, architectures: Sequence[Architecture]) -> list[float]:
    return [value] * len(architectures)


def test_functions_that_do_something_else_are_told_apart_and_the_same_are_not() -> None:
    different = [
        lambda cells: [50.0 + str(cell).count("3x3") for cell in cells],
        lambda cells: [50.0 - str(cell).count("3x3") for cell in cells],
        lambda cells: [60.0 + str(cell).count("3x3") for cell in cells],
        lambda cells: [50.0 + str(cell).count("1x1") for cell in cells],
        lambda cells: [50.0 + str(cell).index("3x3") for cell in cells],
        functools.partial(worth, 1.0),
        functools.partial(worth, 2.0),
        Judge(1.0),
        Judge(1.0).rated,
        Named(1.0),
        Named(2.0),
        count_convolutions,
    ]
    assert len(set(map(evaluator_identity, different))) == len(different)
    same = lambda cells: [50.0 + str(cell).count("3x3") for cell in cells]  # noqa: E731 - written as the first one
    assert evaluator_identity(same) == evaluator_identity(different[0])
    assert evaluator_identity(functools.partial(worth, 1.0)) == evaluator_identity(different[5])


def test_a_function_is_known_again_in_another_process() -> None:
    """Sets among its constants are in another order there."""
    code = (
        "from chronas.search.objective import evaluator_identity\n"
        "print(evaluator_identity(lambda cells: [float(c in {'a', 'b', 'c', 'd', 'e', 'f', 'g'}) for c in cells]))"
    )
    said = {
        subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(said) == 1


def test_a_function_that_was_changed_does_not_go_on_with_its_old_answers(make_task: MakeTask) -> None:
    task = make_task("nasbench201")
    make_searcher("random", FEW).search(replace(task, evaluate=lambda cells: [float(len(str(cell))) for cell in cells]))
    with pytest.raises(MismatchError, match="another evaluator .function .*<lambda>"):
        make_searcher("random", FEW).search(
            replace(task, evaluate=lambda cells: [-float(len(str(cell))) for cell in cells])
        )

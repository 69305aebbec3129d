"""Orders are merged, size counts where trainings were short, and penalties count against it."""

from __future__ import annotations

import numpy as np
import pytest

from chronas.records import Trial
from chronas.search.blackbox.surrogate import (
    NO_WEIGHTS,
    Surrogate,
    Weights,
    architecture_features,
    capacity_features,
    regression_targets,
    skip_multiplicity,
)
from chronas.spaces import Architecture, NetworkSize, make_space

SPACE = make_space("nasbench201")
SIZE = NetworkSize(input_shape=(3, 8, 8), outputs=10, width=4, depth=1)
NETWORKS = SPACE.sample(24, seed=5)
ALL = Weights(1.0, 0.5, 1.0)


def judged(accuracy: float, *losses: float, penalty: float = 0.0, architecture: Architecture = NETWORKS[0]) -> Trial:
    value = 1.0 - accuracy / 100.0 + penalty
    return Trial(architecture, score=accuracy, value=value, penalty=penalty, losses=losses)


def surrogate(rows: list[Trial], weights: Weights = ALL) -> Surrogate:
    return Surrogate(SPACE, SIZE, rows, weights)


def macs(architecture: Architecture) -> float:
    return float(capacity_features(SPACE, architecture_features(SPACE, SIZE, [architecture]))[0, 0])


def test_what_was_learnt_merges_the_orders_of_accuracy_and_losses() -> None:
    rising = regression_targets([judged(50.0), judged(60.0), judged(70.0)])
    assert rising[0] < rising[1] < rising[2]
    assert rising.sum() == pytest.approx(0.0)
    tied = regression_targets([judged(50.0, 1.0, 1.0), judged(50.0, 2.0, 2.0), judged(40.0, 3.0, 3.0)])
    assert tied[0] > tied[1] > tied[2], "losses tell apart what accuracy does not"


@pytest.mark.parametrize(("losses", "counts"), [((1.0, 1.0), True), ((), False)], ids=["brief", "given"])
def test_size_counts_where_trainings_were_brief_and_never_beside_given_accuracies(
    losses: tuple[float, ...], *, counts: bool
) -> None:
    rows = [judged(60.0, *losses, architecture=each) for each in NETWORKS]
    sizes = np.array([macs(each) for each in NETWORKS])
    plain, sized = (
        surrogate(rows, NO_WEIGHTS).posterior_means(),
        surrogate(rows, Weights(1.0, 0.0, 0.0)).posterior_means(),
    )
    if counts:
        assert np.corrcoef(sized - plain, sizes)[0, 1] == pytest.approx(1.0)
        assert (sized - plain).std() == pytest.approx(1.0)
    else:
        np.testing.assert_array_equal(sized, plain)


def test_a_price_counts_as_the_wrong_images_that_it_stands_for() -> None:
    accuracies = np.linspace(50.0, 70.0, len(NETWORKS))
    free = [judged(value, architecture=each) for value, each in zip(accuracies, NETWORKS, strict=True)]
    dear = [*free[:-1], judged(70.0, penalty=0.3, architecture=NETWORKS[-1])]
    assert surrogate(free).posterior_means().argmax() == len(free) - 1
    assert surrogate(dear).posterior_means().argmin() == len(free) - 1
    assert surrogate(dear).posterior_means(penalised=False) == pytest.approx(surrogate(free).posterior_means())


def test_what_is_outside_a_limit_is_not_to_be_beaten() -> None:
    """A large network that is known from elsewhere left every one inside a tight limit without hope."""
    rows = [
        judged(value, architecture=each) for value, each in zip(np.linspace(50, 60, 12), NETWORKS[:12], strict=True)
    ]
    rows.append(judged(95.0, architecture=NETWORKS[12]))
    inside = [True] * 12 + [False]
    asked = [NETWORKS[n] for n in range(13, 24)]
    free = [0.0] * len(asked)
    hopes = []
    for given in (None, inside, [False] * 13):
        found = Surrogate(SPACE, SIZE, rows, NO_WEIGHTS, given)
        hopes.append(found.expected_improvement(found.rows(asked), free))
    assert (hopes[1] > hopes[0]).all()
    assert hopes[1].max() > 3 * hopes[0].max()
    found = Surrogate(SPACE, SIZE, rows, NO_WEIGHTS, [False] * 13)
    assert hopes[2].argmax() == found.means(found.rows(asked), free).argmax()
    row = found.rows(asked[:1])[0]
    found.fantasize(row, 0.0)
    assert (found.expected_improvement(found.rows(asked), free) <= hopes[2]).all(), "what is believed can be the answer"


def test_an_architecture_is_worth_what_its_like_have_shown() -> None:
    accuracies = [50.0 + 10.0 * each.choices.count(3) for each in NETWORKS]  # by 3x3 convolutions alone
    found = surrogate([judged(value, architecture=each) for value, each in zip(accuracies, NETWORKS, strict=True)])
    others = SPACE.sample(200, seed=9)
    means = found.means(found.rows(others), np.zeros(len(others)))
    assert np.corrcoef(means, [each.choices.count(3) for each in others])[0, 1] > 0.8
    dearer = found.means(found.rows(others), np.full(len(others), 0.1))
    assert (dearer < means).all()


def test_what_is_believed_is_expected_to_improve_on_nothing() -> None:
    found = surrogate([judged(50.0 + n, architecture=each) for n, each in enumerate(NETWORKS)])
    others = [each for each in SPACE.sample(50, seed=11) if each not in NETWORKS]
    rows, free = found.rows(others), np.zeros(len(others))
    best = int(found.expected_improvement(rows, free).argmax())
    before = found.expected_improvement(rows, free)[best]
    found.fantasize(rows[best], 0.0)
    assert found.expected_improvement(rows, free)[best] < before


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("|nor_conv_3x3~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|nor_conv_1x1~1|skip_connect~2|", 2),
        ("|nor_conv_3x3~0|+|skip_connect~0|none~1|+|none~0|none~1|nor_conv_1x1~2|", 1),
        ("|avg_pool_3x3~0|+|skip_connect~0|skip_connect~1|+|skip_connect~0|skip_connect~1|skip_connect~2|", 4),
    ],
    ids=["two", "none-at-the-end", "four"],
)
def test_plain_paths_dilute_a_stream_that_goes_through_every_cell(text: str, plain: int) -> None:
    rows = architecture_features(SPACE, SIZE, [SPACE.parse(text)])
    assert skip_multiplicity(SPACE, rows) == pytest.approx([np.log(plain)])


@pytest.mark.parametrize("name", ["darts", "fbnet"])
def test_nothing_is_diluted_where_cells_begin_anew(name: str) -> None:
    space = make_space(name)
    stem = {"input_shape": (3, 32, 32), "width": 16} if name == "fbnet" else {}
    rows = architecture_features(space, SIZE.model_copy(update=stem), space.sample(10, seed=2))
    assert not skip_multiplicity(space, rows).any()

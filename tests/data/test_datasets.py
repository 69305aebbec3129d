"""What `load_dataset` gives for each kind of source, and what it says about wrong ones."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits

from chronas.data import load_dataset
from chronas.errors import DataError, UsageError


def test_digits_are_those_of_scikit_learn_with_a_fifth_set_apart() -> None:
    dataset = load_dataset("digits")
    assert (dataset.shape, dataset.classes, len(dataset.train), len(dataset.test)) == ((1, 8, 8), 10, 1438, 359)
    assert (dataset.train.pixels.max(), dataset.train.pixels.min()) == (255, 0)
    assert torch.bincount(dataset.test.labels).min() >= 34
    parts = (dataset.train, dataset.test)
    both = torch.cat([part.pixels for part in parts]).flatten(1).numpy()
    labels = torch.cat([part.labels for part in parts]).numpy()
    original = np.column_stack([np.rint(load_digits().data * 255 / 16), load_digits().target])
    assert np.array_equal(sorted(map(tuple, original)), sorted(map(tuple, np.column_stack([both, labels]))))


def test_the_test_images_are_the_same_for_every_seed_and_limit() -> None:
    first, other = load_dataset("digits"), load_dataset("digits", seed=7, limit=100)
    assert first.test.checksum() == other.test.checksum()
    assert len(other.train) == 100
    assert torch.bincount(other.train.labels).min() >= 9


def test_a_limit_is_seeded_and_a_larger_one_holds_the_smaller() -> None:
    small, large, another = (
        load_dataset("digits", limit=limit, seed=seed).train for limit, seed in ((50, 0), (80, 0), (50, 1))
    )
    rows = [set(map(tuple, part.pixels.flatten(1).tolist())) for part in (small, large, another)]
    assert rows[0] <= rows[1]
    assert rows[0] != rows[2]
    assert len(load_dataset("digits", limit=10**6).train) == 1438


@pytest.mark.parametrize("limit", [-3, 0, 5])
def test_a_limit_that_empties_a_class_is_refused(limit: int) -> None:
    with pytest.raises(UsageError, match=f"limit.*{limit}"):
        load_dataset("digits", limit=limit)


def test_an_unknown_name_gets_the_nearest_ones() -> None:
    with pytest.raises(UsageError, match="did you mean cifar10"):
        load_dataset("cifar-10")


@pytest.mark.parametrize("source", ["no/such/folder", "absent.npz"])
def test_a_path_that_does_not_exist_is_said_to_be_absent(source: str) -> None:
    with pytest.raises(DataError, match=f"there is no data set {source}"):
        load_dataset(source)


def test_an_empty_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="at least two classes, got none"):
        load_dataset(str(tmp_path))


def test_digits_need_no_polars() -> None:
    code = (
        "import sys; from chronas.data import load_dataset; load_dataset('digits'); assert 'polars' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

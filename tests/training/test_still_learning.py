"""Whether a training ended too early, by its losses."""

from __future__ import annotations

import pytest

from chronas.training import Training


@pytest.mark.parametrize(
    ("losses", "early"),
    [
        ([2.3, 2.0, 1.7, 1.4, 1.1, 0.8], True),
        ([2.3, 1.0, 0.5, 0.42, 0.41, 0.40, 0.40, 0.40, 0.40, 0.40], False),
        ([2.3, 0.5, 0.1, 0.06, 0.03, 0.01], False),
        ([2.3], True),
        ([2.3, 2.29, 2.28, 2.28, 2.28], False),
    ],
    ids=["falling", "flat", "learnt", "one epoch", "learns nothing"],
)
def test_the_last_fifth_is_compared_with_the_one_before(losses: list[float], early: bool) -> None:
    history = [{"train_loss": loss} for loss in losses]
    assert Training(history, 1, None, steps=9, epochs=len(losses)).still_learning is early
    stopped = Training(history, 1, None, steps=9, epochs=len(losses) + 1)
    assert stopped.stopped_epoch == len(losses) and stopped.still_learning is False

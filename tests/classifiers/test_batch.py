import numpy as np
import pytest
import torch

from skal.classifiers import Batch

LOGITS = torch.tensor([[2.0, 0.0, 1.0], [0.0, 3.0, 0.0]], dtype=torch.float64)
CLASSES = torch.tensor([2, 1])


@pytest.mark.parametrize("weight", [None, [1.0, 3.0]])
def test_cross_entropy_and_mean_are_weighted(weight):
    batch = Batch(
        torch.zeros(2, 4), LOGITS, classes=CLASSES, weight=None if weight is None else torch.tensor(weight)
    )
    odds = np.exp(LOGITS.numpy())
    losses = -np.log(odds[[0, 1], [2, 1]] / odds.sum(1))
    assert batch.cross_entropy().item() == pytest.approx(np.average(losses, weights=weight))
    assert batch.mean(torch.tensor([10.0, 2.0])).item() == pytest.approx(np.average([10, 2], weights=weight))
    assert len(batch) == 2


def test_unlabelled_rows_have_no_cross_entropy():
    with pytest.raises(TypeError, match="ask the labelled batch"):
        Batch(torch.zeros(2, 4), LOGITS).cross_entropy()

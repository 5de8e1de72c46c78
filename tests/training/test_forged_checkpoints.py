"""Checkpoints that no training has written, and the states of optimizers in them."""

import re

import pytest
import torch
from torch import nn

from skal.exceptions import ModelFileError
from skal.training.files import read_file, write_file
from skal.training.optimizers import load_optimizer, optimizer_state

from ..fuzzing import forge
from ..networks import X, tiny_vae


def checkpointed(path, **params):
    return tiny_vae(max_epochs=2, validation_fraction=0.2, lr=0.1, checkpoint=path, **params)


def at(tree, *keys):
    for key in keys:
        tree = tree[key]
    return tree


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        (("seed",), -1),
        (("seed",), "0"),
        (("seed",), {"!array": ["<f8", [0], ""]}),
        (("history",), 5),
        (("history", 0, "step"), "one"),
        (("history", 0, "step"), 0),
        (("history", 0, "train_loss"), None),
        (("history", 0, "valid_kl"), 1),
        (("books",), False),
        (("books", "misses_"), -1),
        (("books", "dynamic_threshold_"), "low"),
        (("books", "__class__"), 1),
        (("optimizers",), {}),
        (("optimizers", "optimizer", "state"), {"0/exp_avg": 1}),
        (("optimizers", "optimizer", "param_groups"), []),
        (("optimizers", "optimizer", "param_groups", 0, "betas"), {"!tuple": [0.9]}),
        (("optimizers", "optimizer", "param_groups", 0, "amsgrad"), True),
        (("optimizers", "optimizer", "param_groups", 0, "params"), [0]),
        (("identity",), []),
    ],
    ids=lambda value: str(value)[:40],
)
def test_forged_checkpoints(keys, value, tmp_path):
    path = tmp_path / "checkpoint"
    checkpointed(path).fit(X)
    forge(path, lambda header, content: at(content, *keys[:-1]).update({keys[-1]: value}))
    with pytest.raises(ModelFileError, match=re.escape(str(path))):
        checkpointed(path).set_params(max_epochs=4).fit(X)


@pytest.mark.parametrize(
    "change",
    [
        lambda tensors: tensors.pop("optimizer/0/exp_avg"),
        lambda tensors: tensors.update({"optimizer/0/exp_avg": torch.zeros(1, dtype=torch.float64)}),
        lambda tensors: tensors.update({"optimizer/0/exp_avg": tensors["optimizer/0/exp_avg"].float()}),
        lambda tensors: tensors.update({"optimizer/99/exp_avg": torch.zeros(1)}),
        lambda tensors: tensors.update({"best/more": torch.zeros(1)}),
        lambda tensors: tensors.update({"random_state": torch.zeros(3, dtype=torch.uint8)}),
        lambda tensors: tensors.pop("random_state"),
        lambda tensors: tensors.update({"scaling/shift": torch.zeros(7, dtype=torch.float64)}),
    ],
)
def test_checkpoints_with_other_tensors(change, tmp_path):
    """A state of another shape would be read beyond its end."""
    path = tmp_path / "checkpoint"
    checkpointed(path).fit(X)
    tensors, content = read_file(path)
    change(tensors)
    write_file(path, tensors, content)
    with pytest.raises(ModelFileError, match=re.escape(str(path))):
        checkpointed(path).set_params(max_epochs=4).fit(X)


@pytest.mark.parametrize(
    "make",
    [
        torch.optim.Adam,
        torch.optim.AdamW,
        torch.optim.NAdam,
        torch.optim.RAdam,
        torch.optim.ASGD,
        torch.optim.Adagrad,
        torch.optim.Adadelta,
        torch.optim.Adamax,
        torch.optim.Rprop,
        torch.optim.RMSprop,
        lambda weights: torch.optim.SGD(weights, lr=0.1),
        lambda weights: torch.optim.SGD(weights, lr=0.1, momentum=0.9, nesterov=True),
        lambda weights: torch.optim.Adam(weights, amsgrad=True, foreach=True),
    ],
)
def test_states_of_all_optimizers_come_back(make):
    module = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 1), nn.Linear(7, 7))  # the last gets no gradient
    optimizer = make(module.parameters())
    for _ in range(3):
        optimizer.zero_grad()
        module[:2](torch.ones(2, 3)).sum().backward()
        optimizer.step()
    optimizer.param_groups[0]["initial_lr"] = 0.5  # as a schedule adds it
    tensors, content = optimizer_state(optimizer)
    other = make(module.parameters())
    load_optimizer(other, tensors, content)
    assert repr(other.state_dict()) == repr(optimizer.state_dict())

"""Checkpoints of trainings with functions, classes and objects of one's own, which are known again in every process."""

import functools
import threading

import numpy as np
import pytest
import torch
from torch import nn

from skal.nets import DenseCritic, DenseGenerator
from skal.training.files import read_file, write_file
from tests.processes import run_fresh

from ..networks import X, same_tensors, tiny_gan, weights


class OwnGenerator(DenseGenerator):
    def __init__(self, input_shape, n_latent, scale, **held):
        super().__init__(input_shape, n_latent, hidden=(4,))
        self.scale, self.held = scale, held

    def forward(self, z):
        return self.scale(super().forward(z))


class Factor(nn.Module):
    def __init__(self, power):
        super().__init__()
        self.power, self.weight = power, nn.Parameter(torch.rand(1))

    def forward(self, x):
        return x * self.weight**self.power


def multiplied(factor):
    return lambda x: factor * x


OWN = {
    "scale": lambda x: 2 * x,
    "function": torch.nn.functional.relu,
    "built_in": torch.relu,
    "closure": multiplied(2),
    "partial": functools.partial(torch.mul, other=2),
    "table": np.arange(3000) / 7,
    "lock": threading.Lock(),  # cannot be pickled
    "nested": [{"module": Factor(2)}],
}


def own_gan(path, n_iter, optimizer=lambda params, **kwargs: torch.optim.SGD(params, **kwargs), **others):
    networks = {"architecture": (OwnGenerator, DenseCritic), "generator_params": OWN | others}
    return tiny_gan(**networks, optimizer=optimizer, lr=0.01, n_iter=n_iter, checkpoint=path).fit(X)


def test_functions_and_classes_of_ones_own_are_known_in_another_process(tmp_path):
    code = "from tests.training.test_own_checkpoints import own_gan; own_gan(path, 3)"
    run_fresh(code, path=tmp_path / "checkpoint")
    run_fresh(code, path=tmp_path / "checkpoint")
    resumed = own_gan(tmp_path / "checkpoint", 6)
    assert same_tensors(weights(resumed), weights(own_gan(tmp_path / "whole", 6)))


@pytest.mark.parametrize(
    ("others", "name"),
    [
        ({"scale": lambda x: 3 * x}, "generator_params"),
        ({"function": torch.nn.functional.gelu}, "generator_params"),
        ({"built_in": torch.tanh}, "generator_params"),
        ({"partial": functools.partial(torch.mul, other=3)}, "generator_params"),
        ({"table": np.arange(3000) / 7 + (np.arange(3000) == 1000)}, "generator_params"),
        ({"table": np.arange(3000) / 7 + 1e-12}, "generator_params"),
        ({"lock": threading.Event()}, "generator_params"),
        ({"optimizer": lambda params, lr: torch.optim.SGD(params, lr=lr * 1000)}, "optimizer"),
    ],
)
def test_other_functions_and_objects_are_refused(others, name, tmp_path):
    own_gan(tmp_path / "checkpoint", 2)
    with pytest.raises(ValueError, match=f"belongs to another training: {name} differ"):
        own_gan(tmp_path / "checkpoint", 3, **others)


def test_a_module_that_was_trained_is_known_again(tmp_path):
    params = {"scale": Factor(2), "nested": None}
    before = params["scale"].weight.item()
    whole = own_gan(tmp_path / "checkpoint", 3, **params)
    assert params["scale"].weight.item() != before
    assert same_tensors(weights(own_gan(tmp_path / "checkpoint", 3, **params)), weights(whole))


@pytest.mark.parametrize("optimizer", [torch.optim.SGD, lambda params, lr: torch.optim.SGD(params, lr=lr)])
def test_older_checkpoints_are_continued_where_they_say_enough(optimizer, tmp_path):
    """They had the names of functions and classes, and what containers print."""
    make = functools.partial(
        tiny_gan,
        architecture=(DenseGenerator, DenseCritic),
        optimizer=optimizer,
        checkpoint=tmp_path / "checkpoint",
    )
    tensors, content = read_file(make(n_iter=2).fit(X).checkpoint)
    for name, value in make()._deciding_params().items():
        content["identity"][name] = getattr(value, "__qualname__", repr(value))
    write_file(tmp_path / "checkpoint", tensors, content)
    if optimizer is torch.optim.SGD:
        assert make(n_iter=4).fit(X).n_iter_ == 4
    else:
        with pytest.raises(ValueError, match="another training: optimizer differ"):
            make(n_iter=4).fit(X)

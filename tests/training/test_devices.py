import pytest
import torch

from skal.training.devices import resolve_device, seeded

from ..networks import generator_states

CPU = torch.device("cpu")


@pytest.mark.parametrize("device", ["cpu", CPU])
def test_a_device_that_is_there(device):
    assert resolve_device(device) == CPU


@pytest.mark.parametrize(("n_gpus", "expected"), [(0, "cpu"), (2, "cuda:1")])
def test_auto_is_the_current_gpu_or_the_cpu(n_gpus, expected, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: n_gpus > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: n_gpus)
    monkeypatch.setattr(torch.cuda, "current_device", lambda: 1)
    assert resolve_device("auto") == torch.device(expected)


def test_a_gpu_with_a_number(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert resolve_device("cuda:0") == torch.device("cuda", 0)
    with pytest.raises(ValueError, match=r'device="cuda:2" .*number of GPUs: 2'):
        resolve_device("cuda:2")


@pytest.mark.parametrize(
    ("device", "message"),
    [("toaster", "device='toaster'"), ("vulkan", 'use "auto" or "cpu"'), ("cuda:99", 'use "auto" or "cpu"')],
)
def test_a_device_that_is_not_there(device, message):
    with pytest.raises(ValueError, match=message):
        resolve_device(device)


def test_seeds_hold_inside_only():
    states = generator_states()
    with seeded(3, CPU):
        drawn = torch.rand(2)
    assert generator_states() == states
    assert torch.equal(drawn, torch.rand(2, generator=torch.Generator().manual_seed(3)))
    with pytest.raises(RuntimeError), seeded(3, CPU):
        torch.rand(2) @ torch.rand(3)
    assert generator_states() == states

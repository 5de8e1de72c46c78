"""The states of optimizers in files, which continue training only with the same optimizer."""

from __future__ import annotations

import copy
from numbers import Real
from typing import Any

import torch

from ..exceptions import ModelFileError


def optimizer_state(optimizer: torch.optim.Optimizer) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    """Split an optimizer's state into named tensors and the rest, which JSON can hold."""
    state = optimizer.state_dict()
    tensors: dict[str, torch.Tensor] = {}
    others: dict[str, Any] = {}
    for parameter, values in state["state"].items():
        for name, value in values.items():
            (tensors if isinstance(value, torch.Tensor) else others)[f"{parameter}/{name}"] = value
    return tensors, {"state": others, "param_groups": _plain_groups(state["param_groups"])}


def load_optimizer(
    optimizer: torch.optim.Optimizer, tensors: dict[str, torch.Tensor], content: dict[str, Any]
) -> None:
    """Give an optimizer that has made no step the state that `optimizer_state` returned.

    Compiled steps trust the shapes of a state. Therefore the shapes are compared with those that a copy of the
    optimizer has after a step, and the copy makes a step with the new state before the optimizer gets it.

    Raises
    ------
    ModelFileError
        If the state belongs to another optimizer.
    Exception
        Any error that a step with an impossible state raises.

    Examples
    --------
    >>> import torch
    >>> from skal.training.optimizers import load_optimizer, optimizer_state
    >>> weight = torch.nn.Parameter(torch.zeros(2))
    >>> first, second = (torch.optim.SGD([weight], momentum=0.9) for _ in range(2))
    >>> weight.grad = torch.ones(2)
    >>> first.step()
    >>> load_optimizer(second, *optimizer_state(first))
    >>> second.state[weight]["momentum_buffer"]
    tensor([1., 1.])
    """
    parameters = [parameter for group in optimizer.param_groups for parameter in group["params"]]
    state: dict[int, dict[str, Any]] = {}
    for key, value in {**tensors, **content["state"]}.items():
        number, name = key.split("/", 1)
        state.setdefault(int(number), {})[name] = value
    groups = content["param_groups"]
    _check_groups(_plain_groups(optimizer.state_dict()["param_groups"]), groups)
    twin = copy.deepcopy(optimizer)
    can_step = _step(twin)
    expected = twin.state_dict()["state"]
    for number, values in state.items():
        if number not in range(len(parameters)):
            raise ModelFileError(f"has the state of a parameter {number}, and there are {len(parameters)}")
        _check_values(f"parameter {number}", values, expected.get(number, {}), parameters[number])
        for name, value in values.items():
            if isinstance(value, torch.Tensor) and value.shape == parameters[number].shape:
                # A fused optimizer walks through memory, so its tensors need the memory layout of the weights.
                values[name] = torch.empty_like(parameters[number], dtype=value.dtype).copy_(value)
    if can_step:
        twin.load_state_dict({"state": copy.deepcopy(state), "param_groups": groups})  # a step changes it
        twin.step()
    rates = [group["lr"] for group in optimizer.param_groups]
    optimizer.load_state_dict({"state": state, "param_groups": groups})
    for group, rate in zip(optimizer.param_groups, rates, strict=True):
        if isinstance(rate, torch.Tensor):  # a captured step reads the learning rate from this tensor
            group["lr"] = rate.fill_(group["lr"])


def _step(optimizer: torch.optim.Optimizer) -> bool:
    """Make a step with gradients of zero, and return whether the optimizer can make one by itself."""
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    try:
        optimizer.step()
    except (TypeError, RuntimeError):  # one that asks for the losses itself, or wants sparse gradients
        return False
    return True


def _plain_groups(groups: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {name: value.item() if isinstance(value, torch.Tensor) else value for name, value in group.items()}
        for group in groups
    ]


def _check_groups(own: list[dict[str, Any]], given: list[dict[str, Any]]) -> None:
    """Refuse other parameters and other switches; schedules change numbers, and add some."""
    for mine, other in zip(own, given, strict=True):
        for name, value in mine.items():
            if not _same(value, other[name]):
                raise ModelFileError(f"has an optimizer with {name}={other[name]!r} instead of {value!r}")


def _same(value: Any, other: Any) -> bool:
    if _is_number(value):
        return _is_number(other)
    if isinstance(value, tuple) and all(map(_is_number, value)):
        return isinstance(other, tuple) and len(other) == len(value) and all(map(_is_number, other))
    return type(other) is type(value) and other == value


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _check_values(
    owner: str, values: dict[str, Any], expected: dict[str, Any], parameter: torch.Tensor
) -> None:
    """Refuse the state of a parameter if it lacks something, or has it in another shape or type."""
    for name in expected.keys() | values.keys():
        if name not in values:
            raise ModelFileError(f"has no {name} of {owner}")
        value, known = values[name], expected.get(name)
        if not isinstance(value, torch.Tensor):
            fits = name not in expected or type(value) is type(known)
        elif isinstance(known, torch.Tensor):
            fits = (value.shape, value.dtype) == (known.shape, known.dtype)
        else:  # what comes later, such as an average
            fits = name not in expected and value.shape in (parameter.shape, ())
        if not fits:
            kind = f"shape {tuple(value.shape)}" if isinstance(value, torch.Tensor) else repr(value)
            raise ModelFileError(f"has {name} of {owner} as {kind}, which no step has made")

"""Recording the inputs and outputs of a module's parts, without touching the module.

Every thread that runs a module sees its hooks and flags. Here they are set on a private view, which shares only the
weights: make one for each call, or for each training, and drop it afterwards.
"""

from __future__ import annotations

import inspect
from collections import OrderedDict
from types import MethodType
from typing import Any

import torch
from torch import Tensor, nn


def private_view(module: nn.Module) -> nn.Module:
    """Return a module that computes the same with the same weights, but has its own hooks and flags.

    Parameters
    ----------
    module : torch.nn.Module
        Nothing in it changes. A compiled module gives a view of the module that was compiled.

    Returns
    -------
    view : torch.nn.Module
        Copies of the module and its parts, under the same names. Parameters and buffers are those of `module`:
        gradients, and the statistics of batch normalisation in training, reach `module`. Its existing hooks run in the
        view, too; a hook or a ``training`` flag that is set on the view stays in the view, and so does any other
        attribute that ``forward`` sets. Parts that lie in lists, tuples, dicts or bound methods are copies as well.
        Parts that only a closure refers to, and TorchScript parts, are those of `module`.

    Examples
    --------
    >>> import torch
    >>> from skal.training.recording import private_view
    >>> module = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.ReLU())
    >>> view = private_view(module)
    >>> handle = view[0].register_forward_hook(lambda part, inputs, output: print(output.shape))
    >>> _ = module(torch.zeros(4, 2))
    >>> _ = view(torch.zeros(4, 2))
    torch.Size([4, 3])
    >>> view[0].weight is module[0].weight
    True
    """
    return _viewed(getattr(module, "_orig_mod", module), {})


def in_evaluation(module: nn.Module) -> nn.Module:
    """Return a module in evaluation mode: itself, or a private view if a part of it is in training mode."""
    for part in module.modules():
        if part.training:
            return private_view(module).eval()
    return module


def called(module: Any, rows: Any, **params: Any) -> Any:
    """Return the output of a module for rows; rows that are mappings become its keyword arguments."""
    return module(**rows, **params) if isinstance(rows, dict) else module(rows, **params)


def logits_in(outputs: Any) -> Any:
    """Return the logits in a module's output: the output itself, or its part `logits` as in models of transformers."""
    return outputs["logits"] if isinstance(outputs, dict) else getattr(outputs, "logits", outputs)


class Recorder:
    """A function that returns a module's output together with the values that were recorded in the same pass.

    Call `record_output` or `record_input` with parts of its ``view``. One recorder serves one thread. If several parts
    are recorded, the last one to run counts.

    Parameters
    ----------
    module : torch.nn.Module
        It runs as a `private_view`, which is the attribute ``view``.

    Examples
    --------
    >>> import torch
    >>> from skal.training.recording import Recorder
    >>> recorder = Recorder(torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.Linear(3, 1)))
    >>> recorder.record_input(recorder.view[1])
    >>> output, hidden = recorder(torch.zeros(4, 2))
    >>> output.shape, hidden.shape
    (torch.Size([4, 1]), torch.Size([4, 3]))
    """

    def __init__(self, module: nn.Module) -> None:
        self.view = private_view(module)
        self.last: list[Tensor] = []

    def train(self) -> Recorder:
        """Put the view in training mode."""
        self.view.train()
        return self

    def record_output(self, part: nn.Module) -> None:
        """Record the output of a part.

        Parameters
        ----------
        part : torch.nn.Module
            A part of the ``view``.
        """
        part.register_forward_hook(lambda _, inputs, output: self.record(output))

    def record_input(self, part: nn.Module) -> None:
        """Record the first input of a part.

        Parameters
        ----------
        part : torch.nn.Module
            A part of the ``view``.
        """
        part.register_forward_pre_hook(lambda _, inputs: self.record(inputs[0]))

    def record(self, value: Tensor) -> None:
        """Keep a value until the pass ends.

        Parameters
        ----------
        value : Tensor
        """
        self.last[:] = [value]

    def __call__(self, *inputs: Any, **params: Any) -> tuple[Any, Any]:
        """Run the view; return its output, and the recorded value."""
        self.last.clear()
        return self.view(*inputs, **params), self.recorded()

    def recorded(self) -> Any:
        """Return the value that was recorded in the pass."""
        if not self.last:
            raise RuntimeError(
                f"{type(self.view).__name__} ran none of the parts to record; its forward must call each of them"
            )
        return self.last.pop()


class EmbeddingRecorder(Recorder):
    """Records the penultimate embeddings, flattened, so that logits and embeddings cost one pass.

    The embeddings are the output of the module's own ``embed`` if it has one, else the input of its last linear layer
    with `n_classes` outputs.

    Parameters
    ----------
    module : torch.nn.Module
    n_classes : int

    Raises
    ------
    TypeError
        If the module has neither.

    Examples
    --------
    >>> import torch
    >>> from skal.training.recording import EmbeddingRecorder
    >>> module = torch.nn.Sequential(torch.nn.Linear(2, 5), torch.nn.ReLU(), torch.nn.Linear(5, 3))
    >>> logits, embeddings = EmbeddingRecorder(module, n_classes=3)(torch.zeros(4, 2))
    >>> logits.shape, embeddings.shape
    (torch.Size([4, 3]), torch.Size([4, 5]))
    """

    def __init__(self, module: nn.Module, n_classes: int) -> None:
        super().__init__(module)
        self.embed: Any = getattr(self.view, "embed", None)
        if inspect.ismethod(self.embed):
            vars(self.view)["embed"] = self._embed  # which a forward calls as a rule
            return
        heads = [
            part
            for part in self.view.modules()
            if isinstance(part, nn.Linear) and part.out_features == n_classes
        ]
        if not heads:
            raise TypeError(
                f"{type(self.view).__name__} has no penultimate embedding: give it a method embed(x), or end it in a "
                f"torch.nn.Linear with {n_classes} outputs"
            )
        self.record_input(heads[-1])

    def _embed(self, *inputs: Any, **params: Any) -> Tensor:
        embedding: Tensor = self.embed(*inputs, **params)
        self.record(embedding)
        return embedding

    def __call__(self, *inputs: Any, **params: Any) -> tuple[Any, Tensor]:
        """Run the view; return its output and the embeddings."""
        self.last.clear()
        output = self.view(*inputs, **params)
        if not self.last and inspect.ismethod(self.embed):  # a forward that does not go through embed
            self._embed(*inputs, **params)
        return output, self.recorded().flatten(1)


def _viewed(value: Any, memo: dict[int, nn.Module]) -> Any:
    """Return a value with views of the modules in it, also in dicts, lists, tuples and methods; others are shared."""
    kind = type(value)
    if kind is dict or kind is OrderedDict:  # most of them are empty
        return kind((key, _viewed(item, memo)) for key, item in value.items()) if value else kind()
    if kind is list or kind is tuple:
        return kind(_viewed(item, memo) for item in value)
    if kind is MethodType and isinstance(value.__self__, nn.Module):
        return MethodType(value.__func__, _viewed(value.__self__, memo))
    if isinstance(value, nn.Module) and not isinstance(value, torch.jit.ScriptModule):
        return memo.get(id(value)) or _view(value, memo)
    return value


def _view(module: nn.Module, memo: dict[int, nn.Module]) -> nn.Module:
    view = memo[id(module)] = module.__class__.__new__(module.__class__)
    state = view.__dict__
    state.update(vars(module))
    for name, value in vars(module).items():
        if name not in ("_parameters", "_buffers"):
            state[name] = _viewed(value, memo)
    state.pop("_compiled_call_impl", None)  # it would run the parts of `module`
    return view

"""The training step of learning loss: a small network on a classifier's stages learns to rank rows by their loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.pooling import _AdaptiveAvgPoolNd, _AdaptiveMaxPoolNd

from ..training.estimator import evaluating
from ._net import Net

# They only rearrange, repeat or thin out what a stage has put out already.
_NO_STAGES = (nn.Flatten, nn.Identity, _DropoutNd, _AdaptiveAvgPoolNd, _AdaptiveMaxPoolNd)


class LossPredictor(nn.Module):
    """Predicts a row's loss from the pooled stages of its classifier (Yoo and Kweon, 2019, Figure 2b).

    ======================================  ===================
    layer                                   output
    ======================================  ===================
    of each stage: linear, ReLU             `n_hidden`
    all of them, concatenated               stages * `n_hidden`
    linear                                  1
    ======================================  ===================

    Parameters
    ----------
    widths : sequence of int
        Channels or units of each stage.
    n_hidden : int
    """

    def __init__(self, widths: Sequence[int], n_hidden: int) -> None:
        super().__init__()
        self.hidden = nn.ModuleList([nn.Linear(width, n_hidden) for width in widths])
        self.head = nn.Linear(n_hidden * len(widths), 1)

    def forward(self, stages: list[Tensor]) -> Tensor:
        """Return one number a row, of shape (N,)."""
        hidden = [layer(stage).relu() for layer, stage in zip(self.hidden, stages, strict=True)]
        return self.head(torch.cat(hidden, dim=1)).squeeze(1)


class LearningLossNet(Net):
    """A skorch net with a classifier and a predictor of its loss, which one optimizer trains together.

    Parameters
    ----------
    module : callable
        Builds the classifier; takes no arguments.
    stages : sequence of str or None
    n_hidden : int
    margin, ranking_weight, detach_after : float
    **params
        Parameters of `Net`.
    """

    def __init__(
        self,
        module: Callable[[], nn.Module],
        *,
        stages: Sequence[str] | None,
        n_hidden: int,
        margin: float,
        ranking_weight: float,
        detach_after: float,
        **params: Any,
    ) -> None:
        super().__init__(module, **params)
        self.stages = stages
        self.n_hidden = n_hidden
        self.margin = margin
        self.ranking_weight = ranking_weight
        self.detach_after = detach_after

    def initialize_module(self) -> LearningLossNet:
        """Build the classifier, and the predictor for the stages that it has."""
        super().initialize_module()
        row = torch.zeros(1, *self.input_shape, dtype=self.dtype)
        with (
            evaluating(self.module_),
            torch.no_grad(),
            recorded_stages(self.module_, self.stages, self.n_classes) as recorded,
        ):
            self.module_(row)
            widths = [stage.shape[1] for stage in self._pooled(recorded())]
        self.predictor_ = self.prepare_module(LossPredictor(widths, self.n_hidden))
        return self

    def train_step_single(self, batch: Any, **_: Any) -> dict[str, Any]:
        """Compute the losses of a batch and their gradients."""
        self._set_training(True)
        X, y = batch
        detached = len(self.history) > self.detach_after * self.max_epochs
        logits, predicted = self.logits_and_predicted_loss(X[0], detached=detached)
        losses = {"cross_entropy": self.get_loss(logits, y, X=X, training=True)}
        targets = F.cross_entropy(logits.detach(), y, reduction="none")
        losses["ranking"] = ranking_loss(predicted, targets, self.margin)
        losses["loss"] = losses["cross_entropy"] + self.ranking_weight * losses["ranking"]
        losses["loss"].backward()
        return {"loss": losses["loss"], "y_pred": logits, "losses": losses}

    def step_losses(self, batch: Any, step: dict[str, Any]) -> tuple[dict[str, Tensor], Any]:
        """Return all losses of a training step, and the cross entropy alone of a validation step."""
        losses, weight = super().step_losses(batch, step)
        return step.get("losses", losses), weight

    def logits_and_predicted_loss(self, rows: Tensor, *, detached: bool = False) -> tuple[Tensor, Tensor]:
        """Return both, of one pass; `detached` keeps gradients of the predicted loss from the classifier."""
        with recorded_stages(self.module_, self.stages, self.n_classes) as recorded:
            logits = self.infer(rows)
            stages = self._pooled(recorded())
        if detached:
            stages = [stage.detach() for stage in stages]
        with self.autocast():
            return logits, self.predictor_(stages).to(self.dtype)

    def _pooled(self, stages: list[Tensor]) -> list[Tensor]:
        return [pooled(stage).to(self.dtype) for stage in stages]


def ranking_loss(predicted: Tensor, losses: Tensor, margin: float) -> Tensor:
    """Mean hinge loss of pairs of rows whose predicted losses should lie as their losses do (Equation 2).

    The first half of the rows is paired with the second; of an odd number the last has no partner.

    Parameters
    ----------
    predicted, losses : Tensor of shape (n_rows,)
    margin : float

    Returns
    -------
    loss : Tensor of shape ()
        Zero where there is no pair.

    Examples
    --------
    >>> import torch
    >>> from skal.classifiers._learning_loss_net import ranking_loss
    >>> ranking_loss(torch.tensor([0.0, 2.0, 0.5, 0.0]), torch.tensor([1.0, 1.0, 0.0, 0.0]), margin=1.0)
    tensor(0.7500)
    """
    n_pairs = len(predicted) // 2
    if not n_pairs:
        return predicted.sum() * 0
    gap = predicted[:n_pairs] - predicted[n_pairs : 2 * n_pairs]
    is_larger = losses[:n_pairs] > losses[n_pairs : 2 * n_pairs]
    return (margin - torch.where(is_larger, gap, -gap)).relu().mean()


def pooled(stage: Tensor) -> Tensor:
    """Mean over the pixels of maps (N, C, ...), or over the tokens of (N, tokens, width); rows stay as they are."""
    return stage.mean(dim=1) if stage.ndim == 3 else stage.flatten(2).mean(dim=2) if stage.ndim > 3 else stage


@contextmanager
def recorded_stages(
    module: nn.Module, names: Sequence[str] | None, n_classes: int
) -> Iterator[Callable[[], list[Tensor]]]:
    """Record the stages of a forward pass; what it yields returns them afterwards.

    They are what the named parts put out or, without names, of all maps of a size the last ones with the most channels,
    the last tokens of each number, and the units of each linear layer with what follows it, but for the logits.

    Raises
    ------
    ValueError
        If the module has no part of a name, or such a part puts out no tensor, or there is no stage at all.
    """
    outputs: dict[Any, Tensor] = {}
    sizes: list[Any] = []  # of the stages so far

    def record_named(part: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim > 1:
            outputs[part] = output

    def record_last(part: nn.Module, inputs: Any, output: Any) -> None:
        if not isinstance(output, Tensor) or output.ndim < 2:
            return
        size = output.shape[1:2] if output.ndim == 3 else output.shape[2:]
        is_new = isinstance(part, nn.Linear) if output.ndim == 2 else size not in sizes[-1:]
        if is_new:
            sizes.append(size)
        if not is_new and size not in sizes[-1:]:
            return
        # Bottlenecks narrow the maps first and reduce them later: these narrow ones are not what a stage puts out.
        is_narrow = not is_new and output.ndim > 3 and output.shape[1] < outputs[len(sizes)].shape[1]
        if not is_narrow:
            outputs[len(sizes)] = output

    def stages() -> list[Tensor]:
        if names is not None:
            idle = [name for name, part in parts.items() if part not in outputs]
            if idle:
                raise _wrong_stages(module, names, f"{idle[0]!r} puts out no tensor of rows")
            return [outputs[part] for part in parts.values()]
        found = list(outputs.values())
        if found and found[-1].shape[1:] == (n_classes,):
            found.pop()
        if not found:
            raise _wrong_stages(module, names, f"{type(module).__name__} shows none before its logits")
        return found

    if names is None:
        leaves = (part for part in module.modules() if not any(part.children()))
        parts = {str(i): part for i, part in enumerate(leaves) if not isinstance(part, _NO_STAGES)}
    else:
        known = dict(module.named_modules())
        unknown = [name for name in names if name not in known]
        if unknown or not names:
            given = f"there is no {unknown[0]!r}" if unknown else "that names none"
            raise _wrong_stages(module, names, given)
        parts = {name: known[name] for name in names}
    record = record_last if names is None else record_named
    handles = [part.register_forward_hook(record) for part in parts.values()]
    try:
        yield stages
    finally:
        for handle in handles:
            handle.remove()


def _wrong_stages(module: nn.Module, names: Sequence[str] | None, problem: str) -> ValueError:
    given = None if names is None else list(names)
    known = [name for name, _ in module.named_modules() if name]
    return ValueError(
        f"stages={given} was given, and {problem}; name parts of {type(module).__name__} whose outputs tell how hard a "
        f"row is, out of {known[:20]}"
    )

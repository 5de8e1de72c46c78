"""The stages of a network: outputs of its parts, one for each size of feature maps, that can predict the loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor, nn
from torch.nn.modules.dropout import _DropoutNd
from torch.nn.modules.pooling import _AdaptiveAvgPoolNd, _AdaptiveMaxPoolNd

from ..training.recording import Recorder

# They only rearrange, repeat or thin out the output of a stage.
_NO_STAGES = (nn.Flatten, nn.Identity, _DropoutNd, _AdaptiveAvgPoolNd, _AdaptiveMaxPoolNd)


class StageRecorder(Recorder):
    """Records the stages of a network, each averaged over its pixels or tokens.

    The stages are the outputs of the named parts. Without names they are chosen: for each size of feature maps the last
    output with the most channels, for each number of tokens the last output, and the output of each linear layer after
    the layers that follow it, such as its activation, except the logits.

    Parameters
    ----------
    module : torch.nn.Module
    names : sequence of str or None
    n_classes : int

    Raises
    ------
    ValueError
        If the module has no part with one of the names, or such a part returns no tensor, or there is no stage at all.
    """

    def __init__(self, module: nn.Module, names: Sequence[str] | None, n_classes: int) -> None:
        super().__init__(module)
        self.names = names
        self.n_classes = n_classes
        self.outputs: dict[Any, Tensor] = {}
        self.sizes: list[Any] = []  # of the stages so far
        if names is None:
            leaves = [part for part in self.view.modules() if not any(part.children())]
            self.parts = [part for part in leaves if not isinstance(part, _NO_STAGES)]
        else:
            known = dict(self.view.named_modules())
            unknown = [name for name in names if name not in known]
            if unknown or not names:
                raise self._wrong(f"there is no {unknown[0]!r}" if unknown else "that names none")
            self.parts = [known[name] for name in names]
        for part in self.parts:
            part.register_forward_hook(self._record_last if names is None else self._record_named)

    def __call__(self, *inputs: Any, **params: Any) -> tuple[Any, list[Tensor]]:
        """Run the view; return its output and the stages, each of shape (n_rows, n_units)."""
        self.outputs.clear()
        self.sizes.clear()
        return self.view(*inputs, **params), [pooled(stage) for stage in self.stages()]

    def stages(self) -> list[Tensor]:
        """Return the stages that were recorded in the pass."""
        if self.names is not None:
            for name, part in zip(self.names, self.parts, strict=True):
                if part not in self.outputs:
                    raise self._wrong(f"{name!r} returns no tensor of rows")
            return [self.outputs[part] for part in self.parts]
        found = list(self.outputs.values())
        if found and found[-1].shape[1:] == (self.n_classes,):
            found.pop()
        if not found:
            raise self._wrong(f"{type(self.view).__name__} shows none before its logits")
        return found

    def _record_named(self, part: nn.Module, inputs: Any, output: Any) -> None:
        if isinstance(output, Tensor) and output.ndim > 1:
            self.outputs[part] = output

    def _record_last(self, part: nn.Module, inputs: Any, output: Any) -> None:
        if not isinstance(output, Tensor) or output.ndim < 2:
            return
        size = output.shape[1:2] if output.ndim == 3 else output.shape[2:]
        is_new = isinstance(part, nn.Linear) if output.ndim == 2 else size not in self.sizes[-1:]
        if is_new:
            self.sizes.append(size)
        elif size not in self.sizes[-1:]:
            return
        stage = len(self.sizes)
        # Bottlenecks narrow the maps first and reduce them later: these narrow ones are not the output of a stage.
        if is_new or output.ndim < 4 or output.shape[1] >= self.outputs[stage].shape[1]:
            self.outputs[stage] = output

    def _wrong(self, problem: str) -> ValueError:
        given = None if self.names is None else list(self.names)
        known = [name for name, _ in self.view.named_modules() if name]
        return ValueError(
            f"stages={given} was given, and {problem}; name parts of {type(self.view).__name__} whose outputs tell "
            f"how hard a row is, out of {known[:20]}"
        )


def pooled(stage: Tensor) -> Tensor:
    """Mean over the pixels of maps (N, C, ...), or over the tokens of (N, tokens, width); rows are unchanged."""
    return stage.mean(dim=1) if stage.ndim == 3 else stage.flatten(2).mean(dim=2) if stage.ndim > 3 else stage

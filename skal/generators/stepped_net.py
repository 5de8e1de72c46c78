"""The skorch net for networks that are trained by steps instead of epochs, as GANs are."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from ..training.batches import Stream
from ..utils.progress import advance
from .scaled_net import ScaledNet

# Steps per record, skorch's epoch: the losses are averaged over them and read from the device once.
RECORD_STEPS = 100


class SteppedNet(ScaledNet):
    """A `ScaledNet` that trains for a number of steps; an epoch is a record of up to `RECORD_STEPS` of them.

    Parameters
    ----------
    n_iter : int, default=0
        Steps to make; a loaded net needs none.
    **params
        Parameters of `ScaledNet`.
    """

    n_iter: int = 0

    @property
    def batches_per_step(self) -> int:
        """Batches that a step gets, all together."""
        return 1

    @property
    def remaining_epochs(self) -> int:
        """Records of steps still to make; negative if too many have been made."""
        steps = self.n_iter - self.n_steps
        return -(-steps // RECORD_STEPS) if steps >= 0 else -1

    def length(self, n_epochs: int) -> tuple[str, int]:
        """Return that the length is counted in steps, as in `n_iter`."""
        return "steps", self.n_iter - self.n_steps

    def get_iterator(self, dataset: Any, training: bool = False) -> Stream:
        """Return the batches of a record, those of each step together."""
        sizes = (self.batch_size, self.batches_per_step, RECORD_STEPS)
        return Stream(dataset, *sizes, self.seed, start=self.n_steps, stop=self.n_iter)

    def on_batch_end(self, net: Any, *args: Any, **params: Any) -> None:
        """Report that a step is done, whichever code made it."""
        super().on_batch_end(net, *args, **params)
        advance("steps")


def n_steps_for(rows: NDArray[Any], n_iter: int | str) -> int:
    """Return `n_iter`, or for "auto" 5 sqrt(rows x columns) within 200 and 3000."""
    return min(max(round(5 * rows.size**0.5), 200), 3000) if isinstance(n_iter, str) else n_iter

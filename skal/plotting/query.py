"""The images or texts that a query asks for, in a strip."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import PurePath
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils.validation import check_is_fitted

from ..datasets.decoding import in_8_bits
from ..datasets.images import image_endings
from ..labels import is_missing, read_labels
from ..learner import ActiveLearner, RowState
from ..learner.ids import Ids, named_rows
from ..pool import DatasetPool, Pool, Rows, as_pool
from ..utils.checks import check_integer
from ..utils.display import printable, shortened
from ..utils.warnings import callers_level

_CHANNELS = (1, 3, 4)
_MOST_ITEMS = 40  # unless more are asked for
_LINE, _LINES = 36, 7  # characters of a line of a text, and lines
_LONGEST = 22  # characters of a title


@dataclass(eq=False, repr=False)
class QueryDisplay:
    """The images or texts of queried rows, best first, with their names and labels.

    It is recommended to use :meth:`from_learner`. All parameters are stored as attributes.

    Parameters
    ----------
    items : list of ndarray or list of str
        Images (H, W) or (H, W, channels) of bytes or of numbers, or texts.
    titles : list of str
        The text above each item.

    Attributes
    ----------
    axes_ : ndarray of matplotlib Axes of shape (n_lines, n_columns)
    figure_ : matplotlib Figure

    Examples
    --------
    >>> import matplotlib
    >>> matplotlib.use("Agg")
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal import ActiveLearner
    >>> from skal.plotting import QueryDisplay
    >>> from skal.strategies import UncertaintySampling
    >>> X, truth = load_digits(return_X_y=True)
    >>> learner = ActiveLearner(LogisticRegression(max_iter=5000), UncertaintySampling(), n_queries=5)
    >>> learner = learner.fit(X, [*truth[:50], *[-1] * (len(X) - 50)])
    >>> display = QueryDisplay.from_learner(learner, learner.query(), image_shape=(8, 8))
    >>> len(display.items), display.items[0].shape
    (5, (8, 8))
    """

    items: Sequence[Any]
    titles: Sequence[str]

    @classmethod
    def from_learner(
        cls,
        learner: ActiveLearner,
        rows: ArrayLike,
        items: Any = None,
        *,
        predict: bool = False,
        notes: Sequence[Any] | None = None,
        image_shape: tuple[int, ...] | None = None,
        n_items: int | None = None,
        n_columns: int | None = None,
        figure: Any = None,
    ) -> Self:
        """Draw the items of some rows of a learner's pool; nothing is queried.

        Parameters
        ----------
        learner : ActiveLearner
            Fitted.
        rows : array-like of shape (n_rows,)
            Positions in the pool, as returned by `query`, or ids; integer ids must be given as a pandas index.
        items : container of n_samples items, default=None
            What to draw for the rows of the pool, if the learner is trained on something else, such as embeddings:
            images (N, C, H, W), (N, H, W) or (N, H, W, C), of which the first that fits is used, paths of image files,
            a torch dataset, or texts. By default the pool itself. Strings are texts, unless all that are drawn end as
            image files do, such as in ``.png``.
        predict : bool, default=False
            Whether to show the classifier's guess, with a question mark, for rows without a label, once there is a
            classifier.
        notes : sequence of shape (n_rows,), default=None
            Additional text above each item, such as utilities; fractions are rounded, and None is left out.
        image_shape : tuple of int, default=None
            Shape of an image, if the items are flat rows.
        n_items : int, default=None
            Number of rows to draw, from the first; by default up to 40, with a warning if there are more.
        n_columns : int, default=None
            Number of items side by side; by default 10 images or 3 texts.
        figure : matplotlib Figure, default=None
            Figure to draw in, which is cleared first; a new one by default.

        Returns
        -------
        display : QueryDisplay

        Raises
        ------
        ValueError
            If there are no rows or they are not in the pool, the number of items differs from that of the rows of the
            pool, or the items are neither images nor texts.
        NotFittedError
            If the learner is not fitted.
        """
        check_is_fitted(learner)
        most = _MOST_ITEMS if n_items is None else check_integer("n_items", n_items)
        shown = as_pool(learner.X_)
        if rows is None or not np.size(rows):
            raise ValueError(
                "No rows were given; give those of a query, as in from_learner(learner, learner.query())."
            )
        ids = learner.ids_
        positions = named_rows(rows, Ids(ids), len(shown))
        if notes is not None and (not hasattr(notes, "__len__") or len(notes) != len(positions)):
            given = f"{len(notes)} notes were" if hasattr(notes, "__len__") else f"notes={notes!r} was"
            raise ValueError(f"{given} given for {len(positions)} rows; give one for each.")
        pool = shown if items is None else as_pool(items)
        if len(pool) != len(shown):
            raise ValueError(
                f"{len(pool)} items were given, and the pool has {len(shown)} rows; give an item for each row of the "
                "pool, in its order."
            )
        if n_items is None and len(positions) > most:
            warnings.warn(
                f"The first {most} of {len(positions)} rows are drawn; n_items={len(positions)} draws all.",
                UserWarning,
                stacklevel=callers_level(),
            )
        positions = positions[:most]
        told = [""] * len(positions) if notes is None else list(map(_told, notes))
        labels = _labels(learner, shown, positions, predict)
        kind = "row" if np.array_equal(ids, np.arange(len(ids))) else "id"
        titles = []
        for rank, (name, label) in enumerate(zip(ids[positions].tolist(), labels, strict=True)):
            name = f"{kind} {name}" if isinstance(name, int) else str(name)
            lines = f"{rank + 1}: {name}", label, told[rank]
            titles.append("\n".join(shortened(line, _LONGEST) for line in lines if line))
        return cls(_items(pool, positions, image_shape), titles).plot(n_columns=n_columns, figure=figure)

    def plot(self, *, n_columns: int | None = None, figure: Any = None, cmap: str = "gray") -> Self:
        """Draw the items.

        Parameters
        ----------
        n_columns : int, default=None
        figure : matplotlib Figure, default=None
        cmap : str, default="gray"
            Colour map of images of one channel.

        Returns
        -------
        display : QueryDisplay

        Raises
        ------
        ValueError
            If there are no items.
        """
        if not self.items:
            raise ValueError("There are no items to draw; give one at least.")
        are_texts = isinstance(self.items[0], str)
        most = (3 if are_texts else 10) if n_columns is None else check_integer("n_columns", n_columns)
        n_columns = min(most, len(self.items))
        n_lines = ceil(len(self.items) / n_columns)
        if figure is None:
            import matplotlib.pyplot as plt

            size = (3.4, 1.9) if are_texts else (1.2, 1.2 + 0.2 * max(t.count("\n") for t in self.titles))
            figure = plt.figure(figsize=(n_columns * size[0], n_lines * size[1] + 0.2), layout="constrained")
        figure.clear()
        self.figure_ = figure
        self.axes_ = figure.subplots(n_lines, n_columns, squeeze=False)
        items = self.items if are_texts else _on_one_scale(self.items)
        for axis in self.axes_.flat:
            axis.set_axis_off()
        for axis, item, title in zip(self.axes_.flat, items, self.titles, strict=False):
            if are_texts:
                axis.set_title(title, fontsize="small", loc="left", parse_math=False)
                axis.text(
                    0, 1, _wrapped(item), va="top", fontsize="small", family="monospace", parse_math=False
                )
            else:
                axis.set_title(title, fontsize="x-small", parse_math=False)
                axis.imshow(item, cmap=cmap, vmin=0, vmax=1)
        return self


def _labels(learner: ActiveLearner, pool: Pool, rows: Rows, predict: bool) -> list[str]:
    """What is known of rows: a label, that they are skipped, or the classifier's guess."""
    labels, known = read_labels(learner.labels_[rows], unlabeled=learner.unlabeled)
    told = [str(label) if is_known else "" for label, is_known in zip(labels.tolist(), known, strict=True)]
    states = learner.row_states_[rows]
    predict = predict and hasattr(learner, "estimator_")
    guesses = learner.predict(pool.take(rows)).tolist() if predict else [""] * len(rows)
    for at in np.flatnonzero(~known):
        told[at] = "skipped" if states[at] == RowState.SKIPPED else f"{guesses[at]}?" if predict else ""
    return told


def _items(pool: Pool, rows: Rows, image_shape: tuple[int, ...] | None) -> list[Any]:
    """The images or texts of some rows; no others are read."""
    if isinstance(pool, DatasetPool):
        given = [pool.X[row] for row in rows.tolist()]
        given = [item[0] if isinstance(item, tuple | list) else item for item in given]  # beside a label
    elif pool.row_shape:
        try:
            given = list(as_pool(pool.take(rows)).dense())
        except TypeError as error:  # a table with words in it
            raise _unlike(str(error), image_shape) from error
    else:
        given = list(pool.take(rows))
    if all(isinstance(item, PurePath) or _names_an_image(item) for item in given):
        return [_read(item) for item in given]
    if any(isinstance(item, str) for item in given):
        texts = ["" if is_missing(item) else item for item in given]
        if all(isinstance(item, str) for item in texts):
            return texts
    return [_image(item, image_shape) for item in given]


def _names_an_image(item: Any) -> bool:
    return isinstance(item, str) and "\n" not in item and item.lower().endswith(image_endings())


def _read(path: Any) -> NDArray[Any]:
    from PIL import Image, ImageOps

    with Image.open(path) as file:
        image = in_8_bits(ImageOps.exif_transpose(file))
        image.thumbnail((256, 256))  # a strip shows no more
        return np.asarray(image if image.mode == "L" else image.convert("RGB"))


def _image(item: Any, shape: tuple[int, ...] | None) -> NDArray[Any]:
    """An image as (H, W) or (H, W, channels)."""
    try:
        image = item.numpy(force=True) if isinstance(item, torch.Tensor) else np.asarray(item)
        image = image if shape is None else image.reshape(shape)
        if image.dtype.kind not in "buif":
            raise ValueError(f"{image.dtype} is no number")
    except (TypeError, ValueError) as error:
        raise _unlike(
            f"an item is a {type(item).__name__} of shape {np.shape(item)}: {error}", shape
        ) from error
    if image.ndim == 3 and image.shape[0] in _CHANNELS:
        image = np.moveaxis(image, 0, -1)
    if image.ndim == 3 and image.shape[-1] == 1:
        image = image[..., 0]
    if image.ndim != 2 and (image.ndim != 3 or image.shape[-1] not in _CHANNELS):
        raise _unlike(f"an item has the shape {image.shape}", shape)
    return image if image.dtype == np.uint8 else image.astype(np.float64)


def _unlike(why: str, shape: tuple[int, ...] | None) -> ValueError:
    return ValueError(
        f"The items are neither images nor texts: {why}, with image_shape={shape}. Give images of 1, 3 or 4 channels, "
        "flat rows with image_shape=(H, W) or (C, H, W), paths of image files, texts, or, for another kind of rows, "
        "what they look like, as items."
    )


def _on_one_scale(images: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """Images in [0, 1], as matplotlib has colours: bytes and shares as they are, others by the extremes of all."""
    shares = [image / 255 if image.dtype == np.uint8 else image for image in images]
    finite = np.concatenate([image[np.isfinite(image)] for image in shares])
    low, high = float(finite.min(initial=0)), float(finite.max(initial=0))
    low, high = (low, high) if low < 0 or high > 1 else (0, 1)
    return [(image - low) / (high - low) for image in shares]


def _wrapped(text: str) -> str:
    return "\n".join(textwrap.wrap(printable(text), _LINE, max_lines=_LINES, placeholder=" …"))


def _told(note: Any) -> str:
    if note is None:
        return ""
    return f"{note:.3g}" if isinstance(note, float | np.floating) else str(note)

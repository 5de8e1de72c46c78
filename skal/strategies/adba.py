"""ADBA: annotate where a line through latent space crosses the decision boundary (Huijser and van Gemert, 2017)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from sklearn.utils._param_validation import HasMethods, Interval
from sklearn.utils.validation import check_is_fitted

from ..access import as_torch
from ..labels import check_partial_labels, labeled_mask
from ..pool import Pool, blockwise
from .base import POSITIVE_INTEGER
from .query import Query
from .synthesis import SynthesisStrategy


@dataclass(eq=False, repr=False, kw_only=True)
class ADBA(SynthesisStrategy):
    r"""Active decision boundary annotation: an annotator says where the class changes along a line.

    The rows of the pool are latent codes, and the classifier is linear and has two classes, :math:`w^\top z + b`. A
    query is a line through the code z that is nearest to the hyperplane. It runs along the normal of the hyperplane,
    inside the ball of center c and radius r that holds the codes ([1]_):

    .. math::
        z(s) = z - u u^\top (z - c) + s u, \quad u = w / \lVert w \rVert, \quad
        \lvert s \rvert \le \sqrt{r^2 - \lVert z - c \rVert^2 + (u^\top (z - c))^2}

    An annotator sees `n_points` decoded points of the line, evenly spaced (`show`), and answers with the class at its
    beginning and the position where the class changes; `label_points` turns the answer into labelled codes for
    ``learner.extend``. A line begins on the side where the classifier predicts the first class.

    Parameters
    ----------
    decoder : fitted estimator, default=None
        Its `decode` or `inverse_transform` makes the images that annotators see. Pass it in a ``FrozenEstimator``, as
        a learner's clone of it would not be fitted. None shows the codes.
    n_points : int, default=11
        Points per line. ASAL, Section 5.3, has 11, and counts a line as one annotation.
    n_candidates : int, default=1000
        The number of random rows of the pool among which the nearest to the hyperplane are searched. None searches
        all rows.
    radius : float, default=None
        Radius r of the ball around the mean c of the pool. By default it reaches the farthest row. Rows outside the
        ball are no candidates.
    random_state : int, RandomState instance or None, default=None
        Draws the candidates.

    Attributes
    ----------
    center_ : ndarray of shape (n_features,)
        Mean of the pool.
    radius_ : float
        Radius of the ball.
    query_report_ : Bunch of ndarray
        About the latest synthesis: "lines", of shape (n_queries, n_points, n_features); "rows", the rows of the pool
        through which they go; "points", the codes of these rows, and "distances", how far they are from the hyperplane.

    See Also
    --------
    skal.generators.GANInversion : Codes of the rows of a pool, for a generator that has no encoder.

    Notes
    -----
    In ASAL, Section 5.3, it needs more annotations than all other methods, although each labels 11 codes, and is
    "limited to binary classification with linear models in latent space".

    References
    ----------
    .. [1] Huijser, van Gemert. Active Decision Boundary Annotation with Deep Generative Models. ICCV 2017.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.svm import LinearSVC
    >>> from skal.strategies import ADBA
    >>> Z = np.array([[-2.0, 0.0], [2.0, 0.0], [0.0, 1.0], [0.0, -1.0]])
    >>> classifier = LinearSVC().fit(Z[:2], [0, 1])
    >>> strategy = ADBA(n_points=5).fit(Z)
    >>> lines = strategy.synthesize(1, estimator=classifier)
    >>> lines[0, :, 0].round(2)
    array([-1.73, -0.87,  0.  ,  0.87,  1.73])
    >>> strategy.label_points(lines, crossings=[1.5], first=[0], classes=[0, 1])[1]
    array([0, 0, 1, 1, 1])
    """

    requires = ("as_torch",)

    decoder: Any = field(default=None, kw_only=False)
    n_points: int = 11
    n_candidates: int | None = 1000
    radius: float | None = None

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "decoder": [HasMethods(["decode"]), HasMethods(["inverse_transform"]), None],
        "n_points": [Interval(Integral, 2, None, closed="left")],
        "n_candidates": [*POSITIVE_INTEGER, None],
        "radius": [Interval(Real, 0, None, closed="neither"), None],
    }

    _takes_images = False

    def _check_pool(self, pool: Pool, estimator: Any = None) -> None:
        super()._check_pool(pool, estimator)
        if len(pool.row_shape) != 1:
            raise ValueError(
                f"X has shape {(len(pool), *pool.row_shape)}; ADBA takes latent codes of shape (n_samples, n_features):"
                " encode the rows with skal.generators.GANInversion or VAE."
            )
        if hasattr(self.decoder, "fit"):
            remedy = (
                "Fit it, and pass it in a FrozenEstimator, as a learner's clone of it would not be fitted."
            )
            check_is_fitted(self.decoder, msg=f"The decoder %(name)s is not fitted. {remedy}")

    def _prepare(self, pool: Pool) -> None:
        row_bytes = _N_COPIES * 8 * pool.row_shape[0]
        self.center_ = sum(_numbers(block).sum(axis=0) for block, _ in pool.blocks()) / len(pool)
        norms = blockwise(
            lambda block: np.linalg.norm(_numbers(block) - self.center_, axis=1), pool, row_bytes=row_bytes
        )
        self.radius_ = float(norms.max() if self.radius is None else self.radius)
        self._inside = np.flatnonzero(norms <= self.radius_)
        if not len(self._inside):
            raise ValueError(
                f"radius={self.radius} was given, and all rows of the pool are farther than that from their mean (the "
                f"nearest is {norms.min():.3g} away); give a larger radius, or None."
            )

    def _synthesize(self, query: Query) -> NDArray[Any]:
        pool, candidates = query.pool, self._inside
        n_seen = max(self.n_candidates or len(candidates), query.n_queries)
        if len(candidates) > n_seen:
            candidates = query.rng.choice(candidates, n_seen, replace=False)
        w, b = hyperplane(query.estimator, _numbers(pool.dense(candidates[:_PROBES])))
        norm = np.linalg.norm(w)
        distances = np.abs(blockwise(lambda block: _numbers(block) @ w + b, pool, candidates)) / norm
        nearest = np.argsort(distances, kind="stable")[: query.n_queries]
        rows, distances = candidates[nearest], distances[nearest]
        points = _numbers(pool.dense(rows))
        lines = self._lines(points, w / norm)
        query.report.update(lines=lines, rows=rows, points=points, distances=distances)
        return lines

    def _lines(self, points: NDArray[np.float64], normal: NDArray[np.float64]) -> NDArray[np.float64]:
        offsets = points - self.center_
        along = offsets @ normal
        # The foot of the perpendicular from the center halves the chord of the ball.
        feet = points - along[:, None] * normal
        half = np.sqrt(np.maximum(self.radius_**2 - (offsets**2).sum(axis=1) + along**2, 0))
        steps = half[:, None] * np.linspace(-1, 1, self.n_points)
        return feet[:, None] + steps[..., None] * normal

    def show(self, lines: ArrayLike) -> NDArray[Any]:
        """Decode the points of lines: what annotators see.

        Parameters
        ----------
        lines : array-like of shape (n_lines, n_points, n_features)
            What `synthesize` returned.

        Returns
        -------
        images : ndarray of shape (n_lines, n_points, ...)
            The codes themselves without a `decoder`.
        """
        codes = np.asarray(lines)
        if self.decoder is None:
            return codes
        decode = getattr(self.decoder, "decode", None) or self.decoder.inverse_transform
        images = np.asarray(decode(codes.reshape(-1, codes.shape[-1])))
        return images.reshape(*codes.shape[:2], *images.shape[1:])

    def label_points(
        self, lines: ArrayLike, crossings: ArrayLike, first: ArrayLike, classes: ArrayLike
    ) -> tuple[Any, NDArray[Any]]:
        """Turn an annotator's answers into labelled codes.

        Parameters
        ----------
        lines : array-like of shape (n_lines, n_points, n_features)
            What `synthesize` returned.
        crossings : array-like of float of shape (n_lines,)
            Where the class changes, counted in points: 2.5 is halfway between the third and the fourth. NaN if it
            does not change. A point on the crossing itself is of the first class.
        first : array-like of shape (n_lines,)
            The class at the beginning of each line.
        classes : array-like of shape (2,)
            The two classes, ``learner.classes_``.

        Returns
        -------
        X : ndarray or data frame of shape (n_lines * n_points, n_features)
            The points, for `ActiveLearner.extend`.
        y : ndarray of shape (n_lines * n_points,)
            Their labels.

        Raises
        ------
        ValueError
            If lengths differ, a crossing is outside its line, or a label is not one of the two classes.
        """
        check_is_fitted(self)
        codes, classes, first = np.asarray(lines), np.asarray(classes), np.asarray(first)
        positions = np.asarray(crossings, dtype=float)
        if codes.ndim != 3 or not positions.shape == first.shape == codes.shape[:1]:
            raise ValueError(
                f"lines of shape {codes.shape}, crossings of shape {positions.shape} and first of shape {first.shape} "
                "were given; they must be (n_lines, n_points, n_features), (n_lines,) and (n_lines,)."
            )
        last = codes.shape[1] - 1
        outside = positions[(positions < 0) | (positions > last)]
        if len(outside):
            raise ValueError(f"crossings {outside[:5]} were given; they must lie in [0, {last}], or be NaN.")
        if len(classes) != 2 or not np.isin(first, classes).all():
            raise ValueError(
                f"first={first[:5].tolist()} and classes={classes.tolist()} were given; there must be two classes, and "
                "one of them for each line in first."
            )
        other = classes[(first == classes[0]).astype(np.intp)]
        beyond = np.arange(last + 1) > positions[:, None]  # never for NaN
        labels = np.where(beyond, other[:, None], first[:, None])
        return self._pool.like(codes), labels.ravel()

    def annotate(
        self, samples: Any, annotator: Callable[[Any], Any], classes: Any = None
    ) -> tuple[Any, NDArray[Any]]:
        """Ask a simulated annotator for the class of every point shown, and find the crossing of each line from that.

        Parameters
        ----------
        samples : ndarray of shape (n_lines, n_points, n_features)
            The lines that `synthesize` returned.
        annotator : callable
            Maps the points shown, of shape (n_lines * n_points, ...), to labels.
        classes : array-like of shape (2,)
            The classes of the classifier.

        Returns
        -------
        X : ndarray or data frame of shape (n_labeled * n_points, n_features)
            The points of the lines that were answered; a line whose points are all unlabelled was not.
        y : ndarray of shape (n_labeled * n_points,)
            Their labels.
        """
        images, classes = self.show(samples), np.asarray(classes)
        points = images.reshape(-1, *images.shape[2:])
        answers = check_partial_labels(annotator(points), len(points))
        answered = labeled_mask(answers).reshape(images.shape[:2]).any(axis=1)
        crossings, first = find_crossings(answers.reshape(images.shape[:2])[answered], classes)
        return self.label_points(samples[answered], crossings, first, classes)


def hyperplane(estimator: Any, points: NDArray[np.float64]) -> tuple[NDArray[np.float64], float]:
    """Return the decision function ``w.x + b`` of a linear classifier of two classes, in the space of its rows.

    Parameters
    ----------
    estimator : fitted classifier
        Anything that `as_torch` takes, so pipelines of scalers too.
    points : ndarray of shape (n_points, n_features)
        Where the gradient is computed, which must be the same everywhere.

    Returns
    -------
    w : ndarray of shape (n_features,)
    b : float

    Raises
    ------
    ValueError
        If there are not two classes, or the decision values are constant or not linear in the rows.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal.strategies.adba import hyperplane
    >>> X = np.array([[-1.0, 0.0], [1.0, 0.0]])
    >>> w, b = hyperplane(LogisticRegression().fit(X, [0, 1]), X)
    >>> bool(w[0] > 0), bool(abs(w[1]) < 1e-6), bool(abs(b) < 1e-6)
    (True, True, True)
    """
    rows = torch.tensor(points, dtype=torch.float64, requires_grad=True)
    logits = as_torch(estimator).cpu()(rows).double()
    name = type(estimator).__name__
    if logits.shape[1] != 2:
        raise ValueError(
            f"{name} has {logits.shape[1]} classes; ADBA needs a linear classifier of two classes."
        )
    values = logits[:, 1] - logits[:, 0]
    gradients = torch.autograd.grad(values.sum(), rows)[0].numpy()
    w = gradients.mean(axis=0)
    if np.abs(gradients - w).max() > 1e-3 * np.abs(w).max():
        raise ValueError(
            f"The decision values of {name} are not linear in the rows, so there is no hyperplane; use a linear "
            "classifier of two classes, such as LogisticRegression() or LinearSVC(), after scalers or PCA if needed."
        )
    if not w.any():
        raise ValueError(
            f"The decision values of {name} are the same for all rows, so there is no hyperplane; label other rows."
        )
    return w, float((values.detach().numpy() - points @ w).mean())


def find_crossings(answers: NDArray[Any], classes: NDArray[Any]) -> tuple[NDArray[np.float64], NDArray[Any]]:
    """Return the crossing of each line that contradicts the fewest labels of its points.

    Parameters
    ----------
    answers : ndarray of shape (n_lines, n_points)
        One label per point; an unlabelled point contradicts nothing.
    classes : ndarray of shape (2,)

    Returns
    -------
    crossings : ndarray of shape (n_lines,)
        Halfway between two points; NaN if the whole line is of one class.
    first : ndarray of shape (n_lines,)
        The class at the beginning of each line.

    Examples
    --------
    >>> import numpy as np
    >>> from skal.strategies.adba import find_crossings
    >>> find_crossings(np.array([[0, 0, 1, 1], [1, 1, 1, 1], [1, 0, 1, 0]]), np.array([0, 1]))
    (array([1.5, nan, 2.5]), array([0, 1, 1]))
    """
    is_class = answers[..., None] == classes
    unknown = answers[~is_class.any(axis=2)]
    unknown = unknown[labeled_mask(unknown)]
    if len(unknown):
        raise ValueError(
            f"The annotator answered {unknown.tolist()[0]!r}; the classes are {classes.tolist()}."
        )
    counts = is_class.cumsum(axis=1)  # among the first 1, 2, ... points
    rest = counts[:, -1:] - counts
    # Contradictions if class c is first and the other begins after 1, 2, ... points: the other before that, c after.
    wrong = counts[..., ::-1] + rest
    # Among equals the latest crossing wins, so that a line of one class has none.
    n_lines, n_points, _ = wrong.shape
    best = wrong[:, ::-1].reshape(n_lines, 2 * n_points).argmin(axis=1)
    n_first = n_points - best // 2
    return np.where(n_first < n_points, n_first - 0.5, np.nan), classes[best % 2]


def _numbers(rows: Any) -> NDArray[np.float64]:
    return np.asarray(rows, dtype=np.float64)


_PROBES = 100
_N_COPIES = 5  # of a block in float64, while distances to the center are computed

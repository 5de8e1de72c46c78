"""ADBA: annotate where a line through latent space crosses the decision boundary (Huijser and van Gemert, 2017)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions
from sklearn.utils.validation import check_is_fitted

from ..labels import check_partial_labels, labeled_mask
from ..pool import NO_ROWS, Pool, Rows, blockwise
from .base import POSITIVE_INTEGER
from .lines import answered_lines, answered_rows, distance_to_lines, find_crossings, hyperplane
from .query import Query, TrainingSet
from .synthesis import SynthesisStrategy

_PROBES = 100  # rows at which the gradient must be the same
_N_COPIES = 5  # of a block in float64, while distances to the center are computed


@dataclass(eq=False, repr=False, kw_only=True)
class ADBA(SynthesisStrategy):
    r"""Active decision boundary annotation: an annotator tells where the class changes along a line.

    The rows of the pool are latent codes, and the classifier is linear and has two classes, :math:`w^\top z + b`. A
    query is a line through the code z that is nearest to the hyperplane. It runs along the normal of the hyperplane,
    inside the ball of center c and radius r that holds the codes ([1]_):

    .. math::
        z(s) = z - u u^\top (z - c) + s u, \quad u = w / \lVert w \rVert, \quad
        \lvert s \rvert \le \sqrt{r^2 - \lVert z - c \rVert^2 + (u^\top (z - c))^2}

    Rows that are labelled, or on a line that was answered before, are not asked about again.

    An annotator sees `n_points` decoded points of the line, evenly spaced (`show`), and answers with the class at its
    beginning and the position where the class changes. A line begins on the side where the classifier predicts the
    first class. The answer becomes samples for ``learner.extend`` in one of two ways:

    - As in [1]_, the row z with its class, and the point where the class changes, which the classifier
      :class:`~skal.classifiers.BoundarySVC` learns as a point on the boundary: ``answers="boundary"`` and
      `label_boundary`. With the rows :math:`x_i` of the classes :math:`y_i = \pm 1`, and the points :math:`z_j`, it
      minimises

      .. math::
          \frac{1}{2n} \sum_{i=1}^n \max(0, 1 - y_i (w^\top x_i + b)) + \frac{1}{2m} \sum_{j=1}^m (w^\top z_j + b)^2
          + \lVert w \rVert^2

      The row is learned as a sample, and not as a row of the pool, because the annotator saw its decoded image.
    - As in ASAL, `n_points` codes with their classes, for any linear classifier: ``answers="points"`` and
      `label_points`.

    Parameters
    ----------
    decoder : fitted estimator, default=None
        Its `decode` or `inverse_transform` makes the images that annotators see. Wrap it in a ``FrozenEstimator``,
        because a learner's clone of it would not be fitted. None shows the codes.
    n_points : int, default=11
        Points per line. ASAL, Section 5.3, uses 11, and counts a line as one annotation; the authors of [1]_ use 14.
    answers : {"points", "boundary"}, default="points"
        What the classifier learns from an answer: labelled points of the line, or the row and a point on the boundary.
        For the latter its `fit` must take ``boundary``, as in ``BoundarySVC``; the rows of the pool, and samples that
        are given to `extend` without ``boundary``, count as not on the boundary.
    n_candidates : int, default=1000
        The number of random unlabelled rows among which those nearest to the hyperplane are searched. None searches all
        unlabelled rows, as the authors do.
    radius : float, default=None
        Radius r of the ball around the mean c of the pool. By default the ball reaches the farthest row. Rows outside
        the ball are not candidates.
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
    skal.generators.ALI : The encoder and generator of [1]_.
    skal.generators.GANInversion : Codes of the rows of a pool, for a generator that has no encoder.
    skal.classifiers.BoundarySVC : The classifier of the authors.

    Notes
    -----
    In ASAL, Section 5.3, the method needs more annotations than all others, although each annotation labels 11 codes,
    and is "limited to binary classification with linear models in latent space". There, a search found the latents for
    a GAN that has no encoder. In the latent space of :class:`~skal.generators.ALI`, with ``answers="boundary"``, ADBA
    was as good as maximal entropy on MNIST's fives and sevens.

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

    The same answer in the form of the authors, if the row is of class 0:

    >>> rows = strategy.query_report_.points
    >>> points, labels, boundary = strategy.label_boundary(lines, crossings=[1.5], points=rows, labels=[0])
    >>> points.round(2)
    array([[ 0.  ,  1.  ],
           [-0.43,  1.  ]])
    >>> labels, boundary
    (array([0, 0]), array([False,  True]))
    """

    requires = ("as_torch",)

    decoder: Any = field(default=None, kw_only=False)
    n_points: int = 11
    answers: str = "points"
    n_candidates: int | None = 1000
    radius: float | None = None

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "decoder": [HasMethods(["decode"]), HasMethods(["inverse_transform"]), None],
        "n_points": [Interval(Integral, 2, None, closed="left")],
        "answers": [StrOptions({"points", "boundary"})],
        "n_candidates": [*POSITIVE_INTEGER, None],
        "radius": [Interval(Real, 0, None, closed="neither"), None],
    }

    _takes_images = False

    @property
    def sample_params(self) -> dict[str, Any]:
        """With ``answers="boundary"``, the parameter that tells whether a sample is a point on the boundary."""
        return {"boundary": False} if self.answers == "boundary" else {}

    def _check_pool(self, pool: Pool, estimator: Any = None) -> None:
        super()._check_pool(pool, estimator)
        if len(pool.row_shape) != 1:
            raise ValueError(
                f"X has shape {(len(pool), *pool.row_shape)}; ADBA takes latent codes of shape (n_samples, n_features):"
                " encode the rows with skal.generators.ALI, VAE or GANInversion."
            )
        if hasattr(self.decoder, "fit"):
            remedy = (
                "Fit it, and pass it in a FrozenEstimator, as a learner's clone of it would not be fitted."
            )
            check_is_fitted(self.decoder, msg=f"The decoder %(name)s is not fitted. {remedy}")
        try:
            self.show(_numbers(pool.dense(np.array([0]))))
        except (RuntimeError, TypeError, ValueError) as error:
            raise ValueError(
                f"X has {pool.row_shape[0]} features, and the decoder makes no image of its rows. The pool must be "
                f"codes: give decoder.transform(X). The decoder says: {error}"
            ) from error

    def _prepare(self, pool: Pool) -> None:
        row_bytes = _N_COPIES * 8 * pool.row_shape[0]
        center = sum(_numbers(block).sum(axis=0) for block, _ in pool.blocks()) / len(pool)
        norms = blockwise(
            lambda block: np.linalg.norm(_numbers(block) - center, axis=1), pool, row_bytes=row_bytes
        )
        self.center_ = center
        self.radius_ = float(norms.max() if self.radius is None else self.radius)
        self._inside = np.flatnonzero(norms <= self.radius_)
        if not len(self._inside):
            raise ValueError(
                f"radius={self.radius} was given, and all rows of the pool are farther than that from their mean (the "
                f"nearest is {norms.min():.3g} away); give a larger radius, or None."
            )

    def _synthesize(self, query: Query) -> NDArray[Any]:
        pool, candidates = query.pool, self._candidates(query)
        w, b = hyperplane(query.estimator, _numbers(pool.dense(candidates[:_PROBES])))
        norm = np.linalg.norm(w)
        distances = np.abs(blockwise(lambda block: _numbers(block) @ w + b, pool, candidates)) / norm
        nearest = np.argsort(distances, kind="stable")[: query.n_queries]
        rows, distances = candidates[nearest], distances[nearest]
        points = _numbers(pool.dense(rows))
        lines = self._lines(points, w / norm)
        query.report.update(lines=lines, rows=rows, points=points, distances=distances)
        return lines

    def _candidates(self, query: Query) -> Rows:
        """Random rows of the ball that are not labelled, and on no line that was answered before."""
        rows = self._inside[query.candidates.isin(self._inside)]
        n_seen = min(max(self.n_candidates or len(rows), query.n_queries), len(rows))
        order = rows if n_seen == len(rows) else query.rng.permutation(rows)
        asked = answered_lines if self.answers == "points" else answered_rows
        lines = asked(query.outside, len(self.center_))
        found = NO_ROWS
        for start in range(0, len(order), max(n_seen, 1)):
            if len(found) < n_seen:
                drawn = order[start : start + n_seen]
                found = np.append(found, drawn[~self._are_on(lines, query.pool, drawn)])
        if not len(found):
            raise ValueError(
                f"No row is left to draw a line through: of the {len(self._inside)} rows in the ball each is labelled, "
                "awaits its label, or is on a line that was answered. Give a larger pool, or a smaller budget."
            )
        return found[:n_seen]

    def _are_on(self, lines: NDArray[np.float64], pool: Pool, rows: Rows) -> NDArray[np.bool_]:
        """Which rows some of the lines go through, up to the rounding of their points to the pool's number type."""
        if not len(lines):
            return np.zeros(len(rows), dtype=bool)
        row_bytes = 8 * (_N_COPIES * len(self.center_) + 3 * len(lines))
        distances = blockwise(
            lambda block: distance_to_lines(_numbers(block), lines), pool, rows, row_bytes=row_bytes
        )
        kind = pool.dense(rows[:1]).dtype
        rounding = max(np.finfo(kind).eps if kind.kind == "f" else 0, np.finfo(float).eps)
        # Points are rounded where they lie. Their distances are computed about the lines, as roots of differences.
        return distances <= 20 * (
            rounding * (np.linalg.norm(self.center_) + self.radius_) + 1e-8 * self.radius_
        )

    def _lines(self, points: NDArray[np.float64], normal: NDArray[np.float64]) -> NDArray[np.float64]:
        offsets = points - self.center_
        along = offsets @ normal
        # The foot of the perpendicular from the center halves the chord of the ball.
        feet = points - along[:, None] * normal
        half = np.sqrt(np.maximum(self.radius_**2 - (offsets**2).sum(axis=1) + along**2, 0))
        steps = half[:, None] * np.linspace(-1, 1, self.n_points)
        return feet[:, None] + steps[..., None] * normal

    def show(self, lines: ArrayLike) -> NDArray[Any]:
        """Decode codes into the images that annotators see.

        Parameters
        ----------
        lines : array-like of shape (n_lines, n_points, n_features) or (n_codes, n_features)
            What `synthesize` returned, or codes, such as those of the rows through which the lines go,
            ``query_report_.points``.

        Returns
        -------
        images : ndarray of shape (n_lines, n_points, ...) or (n_codes, ...)
            The codes themselves without a `decoder`.
        """
        codes = np.asarray(lines)
        if self.decoder is None:
            return codes
        decode = getattr(self.decoder, "decode", None) or self.decoder.inverse_transform
        images = np.asarray(decode(codes.reshape(-1, codes.shape[-1])))
        return images.reshape(*codes.shape[:-1], *images.shape[1:])

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
        codes, positions = self._checked(lines, crossings)
        classes, first = np.asarray(classes), np.asarray(first)
        if len(classes) != 2 or first.shape != positions.shape or not np.isin(first, classes).all():
            raise ValueError(
                f"first={first[:5].tolist()} and classes={classes.tolist()} were given for {len(codes)} lines; there "
                "must be two classes, and one of them for each line in first."
            )
        other = classes[(first == classes[0]).astype(np.intp)]
        beyond = np.arange(codes.shape[1]) > positions[:, None]  # never for NaN
        labels = np.where(beyond, other[:, None], first[:, None])
        return self._pool.like(codes), labels.ravel()

    def label_boundary(
        self,
        lines: ArrayLike,
        crossings: ArrayLike,
        points: ArrayLike,
        labels: ArrayLike,
        classes: ArrayLike | None = None,
    ) -> tuple[Any, NDArray[Any], NDArray[np.bool_]]:
        """Turn an annotator's answers into the rows with their classes, and points on the boundary.

        Parameters
        ----------
        lines : array-like of shape (n_lines, n_points, n_features)
            What `synthesize` returned.
        crossings : array-like of float of shape (n_lines,)
            Where the class changes, as in `label_points`. A line whose class does not change gives only its row.
        points : array-like of shape (n_lines, n_features)
            The codes of the rows through which the lines go, ``query_report_.points``.
        labels : array-like of shape (n_lines,)
            The classes of these rows.
        classes : array-like of shape (2,), default=None
            The two classes, ``learner.classes_``; by default those of `labels`.

        Returns
        -------
        X : ndarray or data frame of shape (n_lines + n_crossings, n_features)
            The codes of the rows, and then the points where the class changes, for `ActiveLearner.extend`.
        y : ndarray of shape (n_lines + n_crossings,)
            Their classes; a point on the boundary has that of its row.
        boundary : ndarray of bool of shape (n_lines + n_crossings,)
            Which are points on the boundary, for ``extend(X, y, boundary=boundary)``.

        Raises
        ------
        ValueError
            If lengths differ, a crossing is outside its line, or a label is not one of the two classes.
        """
        codes, positions = self._checked(lines, crossings)
        rows, known = np.asarray(points), np.asarray(labels)
        if rows.shape != codes[:, 0].shape or known.shape != positions.shape:
            raise ValueError(
                f"points of shape {rows.shape} and labels of shape {known.shape} were given for {len(codes)} lines of "
                f"{codes.shape[2]} features; give the code of the row of each, query_report_.points, and its class."
            )
        kinds = list(dict.fromkeys(known.tolist() if classes is None else np.asarray(classes).tolist()))
        if len(kinds) > 2 or not set(known.tolist()) <= set(kinds):
            raise ValueError(
                f"labels={known[:5].tolist()} were given, and the classes are {kinds[:5]}; there must be two classes, "
                "and one of them for each line in labels."
            )
        crossed = np.flatnonzero(~np.isnan(positions))
        shares = positions[crossed, None] / (codes.shape[1] - 1)
        crossing = (1 - shares) * codes[crossed, 0] + shares * codes[crossed, -1]
        boundary = np.arange(len(rows) + len(crossed)) >= len(rows)
        return (
            self._pool.like(np.concatenate([rows, crossing])),
            np.concatenate([known, known[crossed]]),
            boundary,
        )

    def _checked(self, lines: ArrayLike, crossings: ArrayLike) -> tuple[NDArray[Any], NDArray[np.float64]]:
        check_is_fitted(self)
        codes, positions = np.asarray(lines), np.asarray(crossings, dtype=float)
        n_features = len(self.center_)
        are_lines = codes.ndim == 3 and codes.shape[1] > 1 and codes.shape[2] == n_features
        if not are_lines or positions.shape != codes.shape[:1]:
            raise ValueError(
                f"lines of shape {codes.shape} and crossings of shape {positions.shape} were given; they must be "
                f"(n_lines, n_points, {n_features}), with two points or more, and (n_lines,)."
            )
        last = codes.shape[1] - 1
        outside = positions[(positions < 0) | (positions > last)]
        if len(outside):
            raise ValueError(f"crossings {outside[:5]} were given; they must lie in [0, {last}], or be NaN.")
        return codes, positions

    def annotate(self, samples: Any, annotator: Callable[[Any], Any], classes: Any = None) -> TrainingSet:
        """Ask a simulated annotator for the class of every point shown, and find the crossing of each line from that.

        Parameters
        ----------
        samples : ndarray of shape (n_lines, n_points, n_features)
            The lines that `synthesize` returned; with ``answers="boundary"``, at its latest call.
        annotator : callable
            Maps the points shown, of shape (n_lines * n_points, ...), to labels; with ``answers="boundary"`` it is also
            asked about the rows, of shape (n_lines, ...).
        classes : array-like of shape (2,)
            The classes of the classifier.

        Returns
        -------
        X : ndarray or data frame of shape (n_samples, n_features)
            The samples that `label_points` or `label_boundary` makes from the answered lines. A line does not count as
            answered if all its points are unlabelled, or if its row is.
        y : ndarray of shape (n_samples,)
            Their labels.
        params : dict
            With ``answers="boundary"``, which of the samples are points on the boundary.
        """
        lines, classes = np.asarray(samples), np.asarray(classes)
        answers = self._ask(lines, annotator)
        answered = labeled_mask(answers.ravel()).reshape(answers.shape).any(axis=1)
        if self.answers == "points":
            crossings, first = find_crossings(answers[answered], classes)
            return TrainingSet(*self.label_points(lines[answered], crossings, first, classes), {})
        report = getattr(self, "query_report_", None)  # a learner that was loaded has none
        if report is None or not np.array_equal(report.lines, lines):
            raise ValueError(
                f"{len(lines)} lines were given, which are not those of the latest synthesis, query_report_.lines; "
                "give these, or call label_boundary with the codes of the rows through which your lines go."
            )
        labels = self._ask(report.points[:, None], annotator)[:, 0]
        answered &= labeled_mask(labels)
        crossings, _ = find_crossings(answers[answered], classes)
        X, y, boundary = self.label_boundary(
            lines[answered], crossings, report.points[answered], labels[answered], classes
        )
        return TrainingSet(X, y, {"boundary": boundary})

    def _ask(self, codes: NDArray[Any], annotator: Callable[[Any], Any]) -> NDArray[Any]:
        """An annotator's labels for codes of shape (n_lines, n_codes, n_features)."""
        images = self.show(codes)
        shown = images.reshape(-1, *images.shape[2:])
        return check_partial_labels(annotator(shown), len(shown)).reshape(images.shape[:2])


def _numbers(rows: Any) -> NDArray[np.float64]:
    return np.asarray(rows, dtype=np.float64)

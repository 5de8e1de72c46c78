"""Strategies that make samples to annotate instead of choosing rows of the pool."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..labels import Labels, check_partial_labels, labeled_mask
from ..pool import as_pool, assuming_finite
from ..utils.checks import check_integer
from ..utils.random import draw_seed
from .base import Strategy
from .query import Query, TrainingSet


class SynthesisStrategy(Strategy):
    """Base class of the strategies that make samples to annotate instead of choosing rows of the pool.

    An author writes `_synthesize` and, where something can be prepared, `_fit` and `_prepare` as in a
    :class:`QueryStrategy`:

    `_synthesize(query)`
        returns ``query.n_queries`` samples, an array of shape (n_queries, ...). Everything in the
        :class:`~skal.strategies.Query` has been validated; ``query.pool.like(samples)`` puts the samples into the
        form of the pool's rows.

    Parameters
    ----------
    {random_state}

    Attributes
    ----------
    {requires, query_report_}

    Notes
    -----
    The same pool, labels and `random_state` give the same samples. A synthesis changes neither the classifier, nor the
    generator, nor the data, nor the global random state.
    """

    reads_rows = True
    _takes_sparse = False

    def synthesize(self, n_queries: int = 1, *, estimator: Any = None, random_state: Any = None) -> Any:
        """Make samples that are worth annotating.

        Parameters
        ----------
        n_queries : int, default=1
            How many samples to make.
        estimator : fitted classifier, default=None
            The classifier to improve.
        random_state : int, RandomState instance or None, default=None
            Another value makes other samples; a learner passes one that changes with its labels. By default the seed
            of `fit` decides, so that the same classifier gets the same samples.

        Returns
        -------
        samples : ndarray or data frame of shape (n_queries, ...)
            On the scale and in the shape of the rows of the pool, unless the strategy documents otherwise.

        Raises
        ------
        ValueError
            If `n_queries` is invalid.
        NotFittedError
            If the strategy needs a classifier, and none was given or it is not fitted.
        TypeError
            If the classifier lacks what the strategy requires.
        """
        check_is_fitted(self)
        n_queries = check_integer("n_queries", n_queries)
        rng = None if random_state is None else np.random.default_rng(draw_seed(random_state))
        labels = Labels.none(len(self._pool))
        query = Query(pool=self._pool, labels=labels, n_queries=n_queries, estimator=estimator, rng=rng)
        return self.answer(query)

    def answer(self, query: Query) -> Any:
        """Answer a query that has been validated, as an :class:`~skal.ActiveLearner` asks it.

        Parameters
        ----------
        query : Query
            It is about the pool of `fit`. If it has no random numbers, the strategy's own seed draws them.

        Returns
        -------
        samples : ndarray or data frame of shape (n_queries, ...)

        Raises
        ------
        NotFittedError, TypeError
            As `synthesize` does.
        """
        self._check_asked(query.pool, query.estimator)
        if query.rng is None:
            query = replace(query, rng=np.random.default_rng(self._seed))
        with assuming_finite(query.pool):
            samples = self._synthesize(query)
        n_samples = len(as_pool(samples))
        if not 0 < n_samples <= query.n_queries:
            raise RuntimeError(
                f"{type(self).__name__}._synthesize returned {n_samples} samples; it must return {query.n_queries}."
            )
        if query.report:
            self.query_report_ = query.report
        return samples

    def seed_after(self, n_labeled: int) -> int:
        """Return the seed of a learner's samples, which change with the number of labels.

        Parameters
        ----------
        n_labeled : int
            The number of labels so far.

        Returns
        -------
        seed : int
            It depends on the strategy's own seed, too.
        """
        return int(np.random.SeedSequence([self._seed, n_labeled]).generate_state(1)[0])

    def annotate(self, samples: Any, annotator: Callable[[Any], Any], classes: Any = None) -> TrainingSet:
        """Ask a simulated annotator for the labels of samples.

        Parameters
        ----------
        samples : ndarray or data frame of shape (n_queries, ...)
            What `synthesize` returned.
        annotator : callable
            Maps samples to labels of shape (n_queries,). Where it answers with the marker of unlabelled rows, the
            sample is declined.
        classes : array-like of shape (n_classes,), default=None
            The classes of the classifier, for strategies that ask about them.

        Returns
        -------
        X : ndarray or data frame of shape (n_labeled, ...)
            The samples that were not declined, as `ActiveLearner.extend` takes them.
        y : ndarray of shape (n_labeled,)
            Their labels.
        params : dict
            Their further parameters: a value per sample for each name in `sample_params`.
        """
        made = as_pool(samples)
        labels = check_partial_labels(annotator(samples), len(made))
        known = np.flatnonzero(labeled_mask(labels))
        return TrainingSet(made.take(known), labels[known], {})

    @abstractmethod
    def _synthesize(self, query: Query) -> Any:
        """Return ``query.n_queries`` samples."""

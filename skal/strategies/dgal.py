"""DGAL: diffusion graph active learning, accelerated by graph-based sub-sampling."""

from __future__ import annotations

from dataclasses import dataclass, field
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.utils._param_validation import HasMethods, Interval, StrOptions

from ..generators import VAE, encode, fit_encoder
from ..graph import KERNELS, UNCERTAINTIES, LabelDiffusion, cover_steps, nearest_neighbors, transition_matrix
from ..neighbors import make_index
from ..pool import Pool, Rows
from ..training.devices import resolve_device
from ..utils.threads import Kept
from .base import POSITIVE_INTEGER
from .candidates import CandidateStrategy
from .query import Query


@dataclass(eq=False, repr=False, kw_only=True)
class DGAL(CandidateStrategy):
    r"""Diffuse the labels on a graph of the pool, and run a criterion on the rows about which they tell least.

    Once per pool, an encoder maps the rows to latent vectors, and their K nearest neighbours define a random walk M.
    Each query diffuses the labels, which are +1 for the class of a row, -1 for the other classes and 0 for unlabelled
    rows; c runs over all classes, including those in the learner's `classes` that have no label yet,

    .. math:: \chi^{(t+1)}_{ic} = \begin{cases} \chi^{(0)}_{ic} & i \in L \\ (M \chi^{(t)}_{\cdot c})_i & i \in U
        \end{cases}

    restricts the unlabelled rows to the `n_candidates` smallest :math:`\min_c |\chi^{(T)}_{ic}|`, and lets the
    criterion choose among these ([1]_, Equations 7 to 9, Algorithm 2). Rows that no label has reached have 0 and come
    first, in random order. The pool is therefore explored until every region is known, and from then on boundaries are
    refined. The classifier sees only the candidates, and a diffusion computes only what new labels change.

    Parameters
    ----------
    encoder : transformer, default=None
        Fitted on the pool of `fit`, and used for later pools too; a ``FrozenEstimator`` is not fitted again. By default
        :class:`skal.generators.VAE`, whose latent means are the paper's representation. ``PCA(50)`` takes seconds.
        An encoder gets images flattened, unless its scikit-learn tags have ``input_tags.three_d_array``.
    n_neighbors : int, default=10
        K, the neighbours of a row in the graph.
    index : {"auto", "exact", "approximate"} or object, default="auto"
        Finds the neighbours, see :func:`skal.graph.nearest_neighbors`: "auto" is exact for up to about 17,000 rows of
        50 columns, by a fixed rule. An object has scikit-learn's ``fit(X)`` and either ``kneighbors(X, n_neighbors)``,
        like ``NearestNeighbors`` and wrappers of faiss, hnswlib or cuVS, or ``transform(X)``, like
        ``KNeighborsTransformer``; the kernel uses its distances.
    n_steps : int or "auto", default="auto"
        T, the steps of the diffusion, at most 254. "auto" is :math:`\lceil \log_K N \rceil`.
    n_candidates : int, default=1000
        How many unlabelled rows the criterion sees (never fewer than are asked for). The paper uses 10 to 25 times the
        number of queries per round.
    uncertainty : {"min", "norm", "confidence", "margin", "entropy"} or float, default="min"
        What makes a row a candidate. "min" is a small :math:`\min_c |\chi_{ic}|`. A number p, from 1 to infinity, is a
        small :math:`\lVert \chi_i \rVert_p`, and "norm" is p = 2. The others are for the diffused probabilities of
        appendix C: a small maximum ("confidence"), a small difference of the two largest ("margin"), or a large
        entropy. "min" finds only boundaries between two classes, a norm explores, and the others do some of both.
    kernel : {"self_tuning", "graph_learning"}, default="self_tuning"
        Weights of the edges, see :func:`skal.graph.transition_matrix`. The paper does not state which it uses.
    symmetric : bool, default=True
        Whether rows that have a row as their neighbour are its neighbours, too, see
        :func:`skal.graph.transition_matrix`. The paper does not state that either.
    criterion : QueryStrategy, default=None
        The strategy that chooses among the candidates; margin sampling by default (DGMG).
        ``UncertaintySampling("least_confidence")`` gives the paper's DGLC, ``BADGE()`` DGBADGE, and
        ``CoreSet("classifier")`` DGCoreSet. :class:`DiffusionSampling` diffuses the labels once more, among the
        candidates in the classifier's own space, as Section 4.3 suggests.
    device : str or torch.device, default="auto"
        Where labels are diffused and exact neighbours searched. "auto" is a CUDA GPU if there is one, else the CPU.
    random_state : int, RandomState instance or None, default=None
        Seeds encoder, graph and criterion, and decides the order of rows that are equally uncertain.

    Attributes
    ----------
    encoder_ : transformer
        The fitted encoder.
    diffusion_ : skal.graph.LabelDiffusion
        The graph of the pool, and the diffusion of the latest query's labels.
    {criterion_}
    query_report_ : Bunch
        About the latest query: ``rows``, the candidates, and their ``uncertainty``, both in increasing order of the
        uncertainty; ``n_unreached``, the number of unlabelled rows that no label had reached; and ``n_updated``, the
        number of rows that the diffusion computed.

    See Also
    --------
    SEALS : The nearest neighbours of labelled rows as candidates, without exploration.
    RandomSubset : Random candidates.

    References
    ----------
    .. [1] "Accelerated Deep Active Learning with Graph-based Sub-Sampling", TMLR 2024.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skal import ActiveLearner
    >>> from skal.strategies import DGAL
    >>> X, y = load_digits(return_X_y=True)
    >>> y[20:] = -1
    >>> strategy = DGAL(PCA(20), n_candidates=100, random_state=0)
    >>> learner = ActiveLearner(LogisticRegression(max_iter=1000), strategy, n_queries=10).fit(X / 16, y)
    >>> learner.query().shape, learner.strategy_.query_report_.rows.shape
    ((10,), (100,))
    """

    encoder: Any = field(default=None, kw_only=False)
    n_neighbors: int = 10
    index: Any = "auto"
    n_steps: int | str = "auto"
    n_candidates: int = 1000
    uncertainty: str | float = "min"
    kernel: str = "self_tuning"
    symmetric: bool = True
    device: str | torch.device = "auto"

    tells_unreached: ClassVar[bool] = True
    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "encoder": [HasMethods(["fit", "transform"]), None],
        "n_neighbors": POSITIVE_INTEGER,
        "index": [StrOptions({"auto", "exact", "approximate"}), HasMethods(["fit"])],
        "n_steps": [Interval(Integral, 1, 254, closed="both"), StrOptions({"auto"})],
        "n_candidates": POSITIVE_INTEGER,
        "uncertainty": [StrOptions(set(UNCERTAINTIES)), Interval(Real, 1, None, closed="both")],
        "kernel": [StrOptions(set(KERNELS))],
        "symmetric": ["boolean"],
        "device": [str, torch.device],
    }

    def _check_pool(self, pool: Pool, estimator: Any = None) -> None:
        super()._check_pool(pool, estimator)
        if not isinstance(self.index, str):
            make_index(self.index)  # refuses what finds no neighbours

    def _fit(self, X: Any, y: NDArray[Any] | None) -> None:
        self.encoder_ = fit_encoder(self._encoder(), X, self._seed)

    def _prepare(self, pool: Pool) -> None:
        super()._prepare(pool)
        codes = encode(self.encoder_, pool)
        device = resolve_device(self.device)
        neighbors = nearest_neighbors(
            codes, self.n_neighbors, method=self.index, random_state=self._seed, device=device
        )
        n_steps = cover_steps(len(pool), self.n_neighbors) if self.n_steps == "auto" else self.n_steps
        walks = transition_matrix(*neighbors, kernel=self.kernel, symmetric=self.symmetric)
        self.diffusion_ = LabelDiffusion(walks, n_steps, device=device)
        self._lock = Kept[None]()  # a diffusion starts from the latest one

    def _restrict(self, query: Query) -> Rows:
        labels, candidates = query.labels, query.candidates
        without = candidates.excluded  # no array of the pool's size where they are few
        if without is None:
            without = np.flatnonzero(~candidates.mask(len(query.pool)))
        n_seen = min(max(self.n_candidates, query.n_queries), len(candidates))
        with self._lock:
            diffusion = self.diffusion_.diffuse_rows(
                labels.rows, labels.codes[labels.rows], max(2, len(labels.classes))
            )
            rows, uncertainty, n_unreached = diffusion.least_certain(
                n_seen, self.uncertainty, without=without, rng=query.rng
            )
            n_updated = diffusion.n_updated_
        query.report.update(rows=rows, uncertainty=uncertainty, n_unreached=n_unreached, n_updated=n_updated)
        return rows

    def _encoder(self) -> Any:
        return VAE() if self.encoder is None else self.encoder

"""Uncertainties against their formulas."""

import re

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skal.graph import UNCERTAINTIES, LabelDiffusion
from skal.graph.uncertainty import measure_of

from .walks import diffusions, probability_vectors, signals


@given(diffusions())
def test_uncertainties_are_those_of_their_formulas(setting):
    M, labels, n_classes, n_steps = setting
    diffusion = LabelDiffusion(M, n_steps).diffuse(labels, n_classes)
    chi = signals(M, labels, n_classes, n_steps)
    p = np.sort(probability_vectors(M, labels, n_classes, n_steps), axis=1)
    expected = {
        "min": np.abs(chi).min(axis=1),
        "norm": np.sqrt((chi**2).sum(axis=1)),
        "confidence": p[:, -1],
        "margin": p[:, -1] - p[:, -2],
        "entropy": (p * np.log(np.where(p > 0, p, 1))).sum(axis=1),
    }
    reached = diffusion.reached()
    for measure in UNCERTAINTIES:
        uncertainty = diffusion.uncertainty(measure)
        assert uncertainty.dtype == np.float32
        np.testing.assert_allclose(uncertainty, expected[measure], atol=5e-5)
        if not reached.all():
            least = {"confidence": 1 / n_classes, "entropy": -np.log(n_classes)}.get(measure, 0)
            exact = measure in ("min", "norm", "margin")
            np.testing.assert_allclose(uncertainty[~reached], least, atol=0 if exact else 1e-6)
            assert uncertainty.min() >= least - (0 if exact else 1e-5)


@pytest.mark.parametrize("p", [1, 2, 20, 300, np.inf])
@pytest.mark.parametrize("size", [1, 1e-6, 1e-30])
def test_norms_of_small_signals_are_not_zero(p, size):
    """Powers of them are, in float32."""
    hits = size * np.random.default_rng(0).dirichlet(np.ones(4), size=50)
    chi = 2 * hits - hits.sum(axis=1, keepdims=True)
    found = measure_of(p)(torch.tensor(hits, dtype=torch.float32)).numpy()
    largest = np.abs(chi).max(axis=1)
    expected = largest * np.linalg.norm(chi / largest[:, None], p, axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-4)
    assert measure_of(p)(torch.zeros(1, 4)).item() == 0


@given(diffusions(), st.sampled_from([1, 1.5, 2, 3, np.inf]))
def test_norms_of_any_order(setting, p):
    M, labels, n_classes, n_steps = setting
    diffusion = LabelDiffusion(M, n_steps).diffuse(labels, n_classes)
    expected = np.linalg.norm(signals(M, labels, n_classes, n_steps), p, axis=1)
    np.testing.assert_allclose(diffusion.uncertainty(p), expected, atol=5e-5)
    assert (diffusion.uncertainty(p)[~diffusion.reached()] == 0).all()
    if p == 2:
        np.testing.assert_array_equal(diffusion.uncertainty(p), diffusion.uncertainty("norm"))


@pytest.mark.parametrize("measure", ["variance", 0.5, np.nan, None])
def test_unknown_measures(measure):
    message = re.escape(f"measure={measure!r}") + r".*'confidence'.*'norm'.*a number p from 1"
    with pytest.raises(ValueError, match=message):
        LabelDiffusion(np.eye(2), 1).diffuse([0, 1]).uncertainty(measure)

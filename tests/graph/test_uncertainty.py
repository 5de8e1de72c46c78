"""Uncertainties against their formulas."""

import numpy as np
import pytest
from hypothesis import given

from skal.graph import UNCERTAINTIES, LabelDiffusion

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


def test_unknown_measures():
    with pytest.raises(ValueError, match=r"measure='variance'.*'confidence'.*'norm'"):
        LabelDiffusion(np.eye(2), 1).diffuse([0, 1]).uncertainty("variance")

"""Diffusions on a device against those on the CPU."""

import pickle

import numpy as np
import pytest
import torch
from hypothesis import given
from scipy import sparse

from skal.graph import UNCERTAINTIES, LabelDiffusion
from skal.graph.device import DeviceSteps

from .walks import diffusions, random_graph


@given(diffusions())
def test_torch_computes_the_same(setting):
    M, labels, n_classes, n_steps = setting
    walks = sparse.csr_array(M)
    device_steps = DeviceSteps(walks, n_steps, torch.device("cpu"))
    known = np.flatnonzero(labels >= 0)
    hits, changed = device_steps.diffuse(known, labels[known].astype(np.int32), n_classes)
    assert changed is None
    assert device_steps.n_updated == len(labels)
    expected = LabelDiffusion(walks, n_steps).diffuse(labels, n_classes).hits()
    np.testing.assert_allclose(hits, expected, atol=1e-6)


@pytest.mark.gpu
def test_cuda():
    M, labels = random_graph(3000), np.where(np.arange(3000) % 50, -1, np.arange(3000) // 50 % 7)
    on_cpu, on_gpu = LabelDiffusion(M, 5).diffuse(labels), LabelDiffusion(M, 5, device="cuda").diffuse(labels)
    assert on_gpu.n_updated_ == 3000
    for _ in range(2):
        np.testing.assert_allclose(on_gpu.probabilities(), on_cpu.probabilities(), atol=1e-6)
        np.testing.assert_array_equal(on_gpu.reached(), on_cpu.reached())
        for measure in UNCERTAINTIES:
            np.testing.assert_allclose(on_gpu.uncertainty(measure), on_cpu.uncertainty(measure), atol=1e-5)
        on_gpu = pickle.loads(pickle.dumps(on_gpu)).diffuse(labels)

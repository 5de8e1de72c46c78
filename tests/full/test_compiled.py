"""Networks that torch compiles, for which a C++ compiler takes half a minute."""

import pickle
import shutil
from concurrent.futures import ProcessPoolExecutor

import numpy as np
import pytest
import torch

from tests.networks import X, tiny_autoencoder, weights
from tests.processes import FRESH


@pytest.mark.skipif(shutil.which("g++") is None, reason="torch.compile needs a C++ compiler")
def test_compiled_networks_learn_the_same():
    with ProcessPoolExecutor(1, FRESH) as executor:  # torch's compiler remembers what a process did before
        executor.submit(check_compiled_networks).result()


def check_compiled_networks():
    from torch._dynamo import utils

    compiled = tiny_autoencoder(compile=True, max_epochs=1).fit(X)
    assert utils.counters["stats"]["unique_graphs"] >= 2  # of the encoder and of the decoder
    eager = tiny_autoencoder(max_epochs=1).fit(X)
    for name, weight in weights(eager).items():
        torch.testing.assert_close(weights(compiled)[name], weight, rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(
        pickle.loads(pickle.dumps(compiled)).transform(X), eager.transform(X), rtol=1e-9
    )

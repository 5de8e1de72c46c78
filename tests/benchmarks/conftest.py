import os

import numpy as np
import pytest
import torch


@pytest.fixture(scope="module", autouse=True)
def all_cores():
    before = torch.get_num_threads()
    torch.set_num_threads(os.cpu_count() or 1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def images(mnist):
    """MNIST's training images as networks take them, (60000, 1, 28, 28) in [0, 1], and their labels."""
    pixels, labels = mnist
    return (pixels[:, None] / np.float32(255)).astype(np.float32), labels.astype(np.int64)

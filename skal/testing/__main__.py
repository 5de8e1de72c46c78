"""``python -m skal.testing``: does this installation work?"""

import sys

import torch

from .installation import check_installation

if __name__ == "__main__":
    torch.set_num_threads(1)  # the batches are so small that threads would only wait for each other
    sys.exit(0 if check_installation() else 1)

"""Kills processes while they write models and checkpoints: ``python -m tests.training.kills FOLDER N SEED``."""

import json
import os
import signal
import sys
import time
from pathlib import Path

import numpy as np
import torch

from skal.generators import GAN, stepped_net
from skal.training.files import read_file

from ..networks import X, tiny_gan

WIDE = {"critic_params": {"hidden": (500, 500)}}  # megabytes, so that a file takes a while


def main(folder: Path, n: int, seed: int) -> None:
    torch.set_num_threads(1)  # others do not survive a fork
    stepped_net.RECORD_STEPS = 1  # a checkpoint after each step
    rng = np.random.default_rng(seed)
    model = tiny_gan(**WIDE).fit(X)
    model.save(folder / "model")
    train(folder, 1)
    n_litter = n_left = 0
    for number in range(n):
        if not (child := os.fork()):
            while number % 2:
                model.save(folder / "model")
            train(folder, 10**9)
        time.sleep(rng.uniform(0.01, 0.3))
        os.kill(child, signal.SIGKILL)
        assert os.waitpid(child, 0)[1] == signal.SIGKILL
        n_litter += len(litter(folder))
        assert np.array_equal(GAN.load(folder / "model").sample(3), model.sample(3))
        if number % 2:
            model.save(folder / "model")
        else:  # continues from what is there
            n_steps = read_file(folder / "checkpoint")[1]["history"][-1]["step"]
            assert train(folder, n_steps + 1).history_["step"][-1] == n_steps + 1
        n_left += len(litter(folder))
    print(json.dumps({"kills": n, "files left by kills": n_litter, "after the next save": n_left}))


def train(folder: Path, n_iter: int) -> GAN:
    path = folder / "checkpoint"
    return tiny_gan("dcgan", n_iter=n_iter, checkpoint=path, checkpoint_every=1, **WIDE).fit(X)


def litter(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if path.name not in ("model", "checkpoint")]


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))

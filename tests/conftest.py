import functools
import gc
import os

# The tests run side by side, and threads that wait for each other take longer than one alone. Before numpy is imported.
if "PYTEST_XDIST_WORKER" in os.environ:
    for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(threads, "1")
# The first parallel function of numba gives torch numba's number of threads, for the rest of the process.
if "OMP_NUM_THREADS" in os.environ:
    os.environ.setdefault("NUMBA_NUM_THREADS", os.environ["OMP_NUM_THREADS"].partition(",")[0])

os.environ.setdefault("MPLBACKEND", "agg")  # pictures are drawn in no window

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sklearn.base import BaseEstimator

# The files that take longest, so that no worker is left alone with one.
FIRST = [
    "tests/test_common.py",
    "tests/properties/test_query_invariants.py",
    "tests/pool/test_cluster.py",
    "tests/training/test_forged.py",
    "tests/test_jobs.py",
    "tests/testing/test_installation.py",
    "tests/examples/test_scripts.py",
    "docs/guides/generating.md",
]

# scikit-learn reads a constructor's signature whenever it clones, a tenth of the tests' time.
BaseEstimator._get_param_names = classmethod(functools.cache(BaseEstimator._get_param_names.__func__))


def _benchmarks_named(config: pytest.Config) -> bool:
    return any("benchmarks" in argument for argument in config.invocation_params.args)


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Benchmarks run only where they are named: ``pytest tests/benchmarks``."""
    is_left_out = collection_path.name == "benchmarks" and not _benchmarks_named(config)
    return True if is_left_out else None


def pytest_xdist_auto_num_workers(config: pytest.Config) -> int | None:
    """Benchmarks run alone."""
    return 0 if _benchmarks_named(config) else None


def pytest_configure(config: pytest.Config) -> None:
    """Most tests compare with networks on the CPU, so a GPU is for ``pytest -m gpu`` and the benchmarks."""
    if config.option.markexpr != "gpu" and not _benchmarks_named(config):
        os.environ["CUDA_VISIBLE_DEVICES"] = ""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Iterator[object]:
    """The modules of the tests stay to the end: no collector looks through them, which takes a quarter of the time."""
    # On Python 3.14 hypothesis warns when what holds its generator is frozen.
    given(st.none())(lambda _: None)()
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.nodeid.partition("::")[0] not in FIRST)
    for_gpu = [item for item in items if item.get_closest_marker("gpu")]
    if not for_gpu:
        return
    import torch  # not where other processes run the tests

    if not torch.cuda.is_available():
        for item in for_gpu:
            item.add_marker(pytest.mark.skip(reason="needs a GPU, and pytest -m gpu"))


settings.register_profile(
    "default", max_examples=50, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.register_profile(
    "thorough", parent=settings.get_profile("default"), max_examples=1000, derandomize=False, print_blob=True
)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


def read_idx(path: Path) -> np.ndarray:
    """An array in the IDX format of MNIST: two zero bytes, the type (8: uint8), the rank, the sizes, the data."""
    raw = path.read_bytes()
    assert raw[:3] == b"\x00\x00\x08", f"{path} is no IDX file of bytes"
    shape = np.frombuffer(raw, ">u4", raw[3], offset=4)
    return np.frombuffer(raw, np.uint8, offset=4 + 4 * raw[3]).reshape(shape)


@pytest.fixture(scope="session")
def mnist() -> tuple[np.ndarray, np.ndarray]:
    """The 60,000 training images (uint8, 28 x 28) and labels of MNIST."""
    folder = Path(os.environ.get("SKAL_DATA", "")) / "MNIST" / "raw"
    if "SKAL_DATA" not in os.environ or not folder.is_dir():
        pytest.skip("SKAL_DATA names no folder with MNIST/raw")
    return read_idx(folder / "train-images-idx3-ubyte"), read_idx(folder / "train-labels-idx1-ubyte")


@pytest.fixture
def local_random_state() -> Iterator[None]:
    """A seed for torch's global generator, whose state is put back afterwards."""
    import torch

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        yield

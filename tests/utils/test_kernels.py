"""Machine code is kept on disk where it can be, and what is damaged there or cannot be written fails no call."""

import importlib.util
import resource
import sys
import tempfile
import warnings

import numba
import numpy as np
import pytest

from skal.utils import kernels
from skal.utils.kernels import compiled, forgiving_caches
from tests import THOROUGH
from tests.processes import run_fresh


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Where numba keeps what is compiled. No process has been warned yet."""
    monkeypatch.setattr(numba.config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(kernels, "_warned", False)
    return tmp_path / "cache"


@pytest.fixture
def function(tmp_path, monkeypatch):
    """Makes a function again, as another process does."""
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # a full disk would leave half of it
    path = tmp_path / "module.py"
    path.write_text("def double(x):\n    return x + x\n")

    def make():
        spec = importlib.util.spec_from_file_location("module", path)
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module.double

    return make


@pytest.fixture
def read_only(monkeypatch):
    """As numba meets a file system that cannot be written to."""

    def refuse(*args, **kwargs):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)


def is_kept(function):
    kept = compiled(function())
    assert kept(21) == 42
    return sum(kept.stats.cache_hits.values()) == 1


def files(folder):
    return {path.suffix: path for path in sorted(folder.rglob("*.nb?"))}


def test_what_is_compiled_is_kept(function, folder):
    assert not is_kept(function)
    assert files(folder).keys() == {".nbi", ".nbc"}
    assert is_kept(function)


@pytest.mark.parametrize("kind", [".nbi", ".nbc"])
def test_damaged_files_are_compiled_anew(function, folder, kind):
    is_kept(function)
    path = files(folder)[kind]
    data = path.read_bytes()
    rng = np.random.default_rng(0)
    damaged = [b"", b"garbage", data[: len(data) // 2], data[:-1]]
    for place in rng.integers(8 * len(data), size=200 if THOROUGH else 4).tolist():
        flipped = bytearray(data)
        flipped[place // 8] ^= 1 << place % 8
        damaged.append(bytes(flipped))
    n_healed = 0
    for content in damaged:
        path.write_bytes(content)
        if not is_kept(function):
            n_healed += 1
            assert is_kept(function)
        files(folder)[kind].rename(path)
    # A flipped bit may stand where nothing reads it.
    assert n_healed >= len(damaged) / 2


def test_machine_code_for_other_types_is_compiled_anew(function, folder):
    """Two processes that compile at the same time may write to the same file."""
    double = compiled(function())
    assert (double(1), double(0.25)) == (2, 0.5)
    first, second = sorted(folder.rglob("*.nbc"))
    first.rename(folder / "other")
    second.rename(first)
    (folder / "other").rename(second)
    double = compiled(function())
    assert (double(1), double(0.25)) == (2, 0.5)
    assert not sum(double.stats.cache_hits.values())


def test_without_a_folder_that_can_be_written_to(function, folder, read_only):
    with pytest.warns(UserWarning, match="no locator available .* NUMBA_CACHE_DIR to a folder") as caught:
        assert not is_kept(function)
    assert len(caught) == 1
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # one warning is enough
        assert not is_kept(function)
    assert not files(folder)


def test_a_full_disk(function, folder):
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, before[1]))
    try:
        with pytest.warns(UserWarning, match="OSError: .* NUMBA_CACHE_DIR") as caught:
            assert not is_kept(function)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert len(caught) == 1
    assert not [path for path in folder.rglob("*") if path.is_file()]
    assert not is_kept(function)
    assert is_kept(function)


def test_a_folder_that_has_gone(function, folder):
    double = compiled(function())
    folder.parent.joinpath("cache").rename(folder.with_name("gone"))
    folder.write_text("a file")
    with pytest.warns(UserWarning, match=r"NotADirectoryError|FileExistsError"):
        assert double(2) == 4


def test_other_packages_functions(function, read_only):
    def decorated():
        return [numba.njit(cache=True)(function()), numba.vectorize(cache=True)(function())]

    with pytest.warns(UserWarning, match="NUMBA_CACHE_DIR") as caught, forgiving_caches():
        assert [double(2) for double in decorated()] == [4, 4]
    assert len(caught) == 1
    with pytest.raises(RuntimeError, match="no locator"):  # numba is as it was
        decorated()


def test_other_packages_files_stay_readable(function):
    with forgiving_caches():
        assert numba.njit(cache=True)(function())(2) == 4
    plain = numba.njit(cache=True)(function())
    assert plain(2) == 4
    assert sum(plain.stats.cache_hits.values()) == 1


def test_other_packages_damaged_files(function, folder):
    for suffix in (".nbi", ".nbc"):
        with forgiving_caches():
            numba.njit(cache=True)(function())(2)
            path = files(folder)[suffix]
            path.write_bytes(path.read_bytes()[:-9])
            for n_hits in (0, 1):
                double = numba.njit(cache=True)(function())
                assert double(2) == 4
                assert sum(double.stats.cache_hits.values()) == n_hits


@pytest.mark.skipif(not THOROUGH, reason="pynndescent compiles for minutes")
def test_a_read_only_installation():
    code = """
import tempfile, warnings
import numpy as np

def refuse(*args, **kwargs):
    raise OSError(30, "Read-only file system")

tempfile.TemporaryFile = refuse
from skal.graph import LabelDiffusion, nearest_neighbors, transition_matrix
from skal.neighbors import CellIndex, GraphIndex
X = np.random.default_rng(0).normal(size=(5000, 4))
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    expected = CellIndex(random_state=0).fit(X).kneighbors(X[:9], 2)[1]
    walks = transition_matrix(*nearest_neighbors(X, 5))
    LabelDiffusion(walks, 2).diffuse(np.arange(5000) % 3 - 1)
    found = GraphIndex(random_state=0).fit(X).kneighbors(X[:9], 2)[1]
assert (found[:, 0] == expected[:, 0]).all()
assert len(caught) == 1 and "NUMBA_CACHE_DIR" in str(caught[0].message), caught
"""
    run_fresh(code)

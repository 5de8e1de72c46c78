"""Functions that numba compiles when they are first called, and keeps on disk if possible."""

from __future__ import annotations

import pickle
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import sha256
from typing import Any

import numpy as np
from numpy.typing import NDArray

_warned = False


@cache
def compiled(kernel: Callable[..., Any], *, any_order: bool = False) -> Callable[..., Any]:
    """Return a function as machine code, which numba keeps on disk if possible.

    It runs without the GIL but serially: several Python threads at a time must not enter numba's own threads.

    Parameters
    ----------
    kernel : callable
        A function of arrays and numbers, defined in a module.
    any_order : bool, default=False
        Whether sums may be added up in any order, which is several times faster.

    Warns
    -----
    UserWarning
        Once per process, if no machine code can be kept on disk. The function is compiled nevertheless.
    """
    import numba  # takes a second, and only the first call needs it

    fastmath: Any = {"reassoc", "contract"} if any_order else False
    function: Any = numba.njit(nogil=True, fastmath=fastmath)(kernel)
    function._cache = _cache_of(kernel, _own_cache())
    return function


def readonly(array: NDArray[Any]) -> NDArray[Any]:
    """Return a plain read-only view: to the compiler, arrays in memory and in a file then have the same type."""
    view = np.asarray(array).view()
    view.setflags(write=False)
    return view


@contextmanager
def forgiving_caches() -> Iterator[None]:
    """Let functions of other packages that numba is told to keep on disk work even if it cannot.

    Use it for the import and the calls of such a package, by one thread at a time.
    """
    from numba.core import caching, dispatcher
    from numba.np.ufunc import ufuncbuilder

    modules: tuple[Any, ...] = (dispatcher, ufuncbuilder)
    for module in modules:
        module.FunctionCache = lambda function: _cache_of(function, _forgiving_cache())
    try:
        yield
    finally:
        for module in modules:
            module.FunctionCache = caching.FunctionCache


def _cache_of(function: Callable[..., Any], kind: type[Any]) -> Any:
    from numba.core.caching import NullCache

    try:
        return kind(function)
    except RuntimeError as error:  # no folder can be written to
        _warn_once(str(error))
        return NullCache()


@cache
def _forgiving_cache() -> type[Any]:
    """Return a kind of numba's cache that fails no call."""
    from numba.core.caching import FunctionCache

    class Forgiving(FunctionCache):
        def load_overload(self, sig: Any, target_context: Any) -> Any:
            try:
                return self._load(sig, target_context)
            except Exception:  # whatever unpickling a damaged file raises: it is compiled and written again
                with suppress(OSError):
                    self.flush()
                return None

        def _load(self, sig: Any, target_context: Any) -> Any:
            return super().load_overload(sig, target_context)

        def save_overload(self, sig: Any, data: Any) -> None:
            try:
                super().save_overload(sig, data)
            except Exception as error:  # a full disk, a folder that has gone
                _warn_once(f"{type(error).__name__}: {error}")

    return Forgiving


@cache
def _own_cache() -> type[Any]:
    """Return a kind of numba's cache that fails no call, and reads nothing damaged."""
    from numba.core.caching import CompileResultCacheImpl
    from numba.core.serialize import dumps

    class Checked(CompileResultCacheImpl):
        """Machine code with its digest: code with one flipped bit would end the process."""

        def get_filename_base(self, fullname: str, abiflags: str) -> str:
            return f"{super().get_filename_base(fullname, abiflags)}.checked"

        def reduce(self, data: Any) -> tuple[bytes, bytes]:
            code = dumps(super().reduce(data))
            return sha256(code).digest(), code

        def rebuild(self, target_context: Any, payload: Any) -> Any:
            digest, code = payload
            if sha256(code).digest() != digest:
                raise ValueError("damaged")
            return super().rebuild(target_context, pickle.loads(code))

    forgiving: Any = _forgiving_cache()

    class Own(forgiving):  # type: ignore[misc]
        _impl_class = Checked

        def _load(self, sig: Any, target_context: Any) -> Any:
            found = super()._load(sig, target_context)
            # Two processes that compile at the same time may write to the same file.
            if found is not None and tuple(found.signature.args) != tuple(sig):
                raise ValueError("of other types")
            return found

    return Own


def _warn_once(reason: str) -> None:
    global _warned
    if _warned:
        return
    _warned = True
    warnings.warn(
        f"numba cannot keep compiled functions on disk ({reason}); each process compiles them again, in seconds. "
        "Set the environment variable NUMBA_CACHE_DIR to a folder that can be written to",
        stacklevel=2,
    )

"""An encoder whose codes are kept in files, so that a long encoding continues where it was interrupted."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin, _fit_context, clone
from sklearn.utils import get_tags
from sklearn.utils._param_validation import HasMethods
from sklearn.utils.validation import check_is_fitted

from ..pool import as_pool, dense
from ..training.fingerprint import fingerprint
from ..utils.replacing import replacing
from .encoders import takes_images


@dataclass(eq=False, repr=False, kw_only=True)
class CachedEncoder(TransformerMixin, BaseEstimator):
    """Keep the codes of each block of rows in a folder, and read them when the same block comes again.

    A pool is encoded block by block. If an encoding is interrupted, by Ctrl-C or a power cut, it continues
    with the first block that is not in the folder. So does another process, or another worker of a cluster, that has
    access to the folder. A block is identified by its rows, in any memory order, and by the fitted encoder: another
    encoder has other files. An encoder that is loaded in another process, from a pickle or by its `load`, finds its
    codes again.

    Parameters
    ----------
    encoder : transformer
        A ``FrozenEstimator`` is not trained again. Any other encoder is trained again in each `fit`, and finds its
        codes only if training is repeatable. So train a network first, and freeze it.
    folder : str or path-like, default=None
        Where the codes are kept; it is created if it does not exist. None keeps nothing. Remove the folder when the
        codes are no longer needed: each number takes 4 bytes, or 8 if the encoder returns float64.

    Attributes
    ----------
    encoder_ : transformer
        The fitted encoder.

    Notes
    -----
    A file is either complete or absent. A file that is damaged, or does not hold codes, is written again.

    An encoder is identified by the content of its pickle. Tensors count by their values; parts that a network needs
    only for training do not count. Functions and classes are identified by their names: if you edit the code of your
    own encoder, use another folder, or a version among its parameters.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.decomposition import PCA
    >>> from sklearn.frozen import FrozenEstimator
    >>> from skal.generators import CachedEncoder, encode
    >>> X, _ = load_digits(return_X_y=True)
    >>> pca = FrozenEstimator(PCA(10).fit(X))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     codes = encode(CachedEncoder(pca, folder=folder).fit(X), X)
    ...     codes.shape, len(list(Path(folder).iterdir()))
    ((1797, 10), 1)
    """

    encoder: Any = field(kw_only=False)
    folder: Any = None

    _parameter_constraints: ClassVar[dict[str, Any]] = {
        "encoder": [HasMethods(["fit", "transform"])],
        "folder": [str, HasMethods(["__fspath__"]), None],
    }

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X: Any, y: Any = None) -> Self:
        """Fit the encoder.

        Parameters
        ----------
        X : container of shape (n_samples, ...)
            Any rows that the encoder accepts.
        y : None
            Ignored.

        Returns
        -------
        self : CachedEncoder

        Raises
        ------
        TypeError
            If the encoder cannot be identified, because it holds something that cannot be pickled.
        """
        key = None if self.folder is None else self._known_by(self.encoder)  # before a training of hours
        self.encoder_ = clone(self.encoder).fit(X, y)
        self._key = key if key is None or self.encoder_ is self.encoder else self._known_by(self.encoder_)
        return self

    def transform(self, X: Any) -> NDArray[Any]:
        """Encode rows, or read their codes.

        Parameters
        ----------
        X : container of shape (n_samples, ...)

        Returns
        -------
        codes : ndarray of shape (n_samples, ...)

        Raises
        ------
        OSError
            If the codes cannot be written.
        TypeError
            If the rows cannot be identified, because they cannot be pickled.
        """
        check_is_fitted(self)
        if self.folder is None:
            return dense(self.encoder_.transform(X))
        file = Path(self.folder) / f"{self._known_by(X, self._key)}.npy"
        with suppress(Exception):  # it is not there yet, or damaged in whatever way
            return _read(file)
        codes = dense(self.encoder_.transform(X))
        if len(codes) == len(as_pool(X)):  # else whoever asked says so, and asks again
            file.parent.mkdir(parents=True, exist_ok=True)
            _write(file, codes)
        return codes

    def _known_by(self, what: Any, key: str | None = None) -> str:
        try:
            return fingerprint(key, what)
        except MemoryError:
            raise
        except Exception as error:
            kind = type(what).__name__
            name = f"the encoder {kind}" if key is None else f"a {kind} of rows"
            raise TypeError(
                f"CachedEncoder finds codes again by what the encoder and the rows hold, and {name} cannot be pickled "
                f"({type(error).__name__}: {str(error)[:200]}); set folder=None, or let a method __getstate__ of what "
                "cannot be pickled return what tells it from others"
            ) from error

    def get_feature_names_out(self, input_features: Any = None) -> NDArray[Any]:
        """Names of the codes, which are those of the encoder.

        Parameters
        ----------
        input_features : array-like of str, default=None

        Returns
        -------
        names : ndarray of str
        """
        check_is_fitted(self)
        return self.encoder_.get_feature_names_out(input_features)  # type: ignore[no-any-return]

    @property
    def n_features_in_(self) -> int:
        """Number of features of the rows that the encoder was fitted on."""
        return int(self.encoder_.n_features_in_)

    def __sklearn_is_fitted__(self) -> bool:
        return hasattr(self, "encoder_")

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags = get_tags(self.encoder).input_tags
        tags.input_tags.three_d_array = takes_images(self.encoder)  # which the tags of a pipeline do not tell
        return tags


def _read(file: Path) -> NDArray[Any]:
    with open(file, "rb") as opened:
        codes = np.load(opened, allow_pickle=False)
        digest = opened.read()
    if digest != _digest(file, codes):
        raise ValueError("damaged")
    return codes  # type: ignore[no-any-return]


def _write(file: Path, codes: NDArray[Any]) -> None:
    """Write an array, and a digest behind it, where NumPy does not look."""
    with replacing(file) as opened:
        np.save(opened, codes, allow_pickle=False)
        opened.write(_digest(file, codes))


def _digest(file: Path, codes: NDArray[Any]) -> bytes:
    """A digest of codes and of the rows that they encode, since a file may be given another name."""
    digest = sha256(f"{file.name} {codes.dtype.str} {codes.shape}".encode())
    digest.update(np.ascontiguousarray(codes).reshape(-1).view(np.uint8).data)
    return digest.digest()

"""Fitted estimators in files: weights as tensors, parameters as JSON, no code."""

from __future__ import annotations

import inspect
import os
from functools import partial
from typing import Any, ClassVar, Self

import torch
from sklearn.base import BaseEstimator
from sklearn.utils._param_validation import validate_parameter_constraints
from sklearn.utils.validation import check_is_fitted

from ..exceptions import ModelFileError
from ..utils.inheriting import Inheriting
from .devices import resolve_device, seeded
from .encoding import decode, encode
from .files import parsing, read_file, write_file
from .fitted import check_attribute, fitted_attributes
from .loading import with_weights
from .net import part


class SavedEstimator(Inheriting):
    """Base of the estimators with networks, which are saved to a file and loaded from it.

    Attributes whose names end in an underscore are saved with the networks; the class declares each with its type, such
    as ``temperature_: float = field(init=False)`` under ``@dataclass``, and a file cannot set any others. A subclass
    builds its net, not initialized, in ``_make_net``; any other net, such as ``vae_net_``, has its own method,
    ``_make_vae_net``.
    """

    _nets: ClassVar[tuple[str, ...]] = ("net_",)  # attributes that hold a net; `save` writes them all

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the fitted estimator: weights as safetensors, parameters as JSON, in one file.

        The file is written completely or not at all, and is safe to load because it contains no code. Parameters that
        hold your own code, such as `callbacks` or the class of your own module, are left out; give them to `load`.

        Parameters
        ----------
        path : str or path-like
            An existing file is replaced.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        TypeError
            If it has a fitted attribute that its class does not declare, or one of another type.
        OSError
            If the file cannot be written.
        """
        check_is_fitted(self)
        attributes = {
            name: value for name, value in vars(self).items() if name[-1] == "_" and name not in self._nets
        }
        for name, value in attributes.items():
            check_attribute(type(self), name, value)
        tensors: dict[str, torch.Tensor] = {}
        nets = {}
        for name in self._nets:
            net = getattr(self, name)
            prefix = "" if name == "net_" else f"{name}/"
            tensors |= {f"{prefix}{key}": tensor for key, tensor in net.state_dict().items()}
            nets[name] = {"seed": net.seed, "history": net.saved_history()}
            if arrays := getattr(net, "arrays", None):
                nets[name]["arrays"] = arrays
        content = {
            "estimator": type(self).__qualname__,
            **written_params(self),
            "attributes": attributes,
            **nets.pop("net_"),
            "other_nets": nets,
        }
        write_file(path, tensors, content)

    @classmethod
    def load(cls, path: str | os.PathLike[str], **params: Any) -> Self:
        """Load an estimator that `save` has written.

        Parameters
        ----------
        path : str or path-like
        **params
            Parameters that replace the saved ones, and those that were left out. Without `device`, networks that were
            saved from a GPU are loaded onto the CPU if there is no GPU.

        Returns
        -------
        estimator : estimator
            Fitted. The optimizers are not saved; a checkpoint has them.

        Raises
        ------
        ModelFileError
            If skal did not write the file, it is truncated or damaged, or does not fit the networks of this version.
        TypeError
            If the file holds another kind of estimator, or a parameter that was left out is missing.
        OSError
            If the file cannot be read.
        """
        tensors, content = read_file(path)
        is_whole = {"estimator", "params", "attributes"} <= content.keys()
        if not is_whole or not isinstance(content["estimator"], str):
            raise ModelFileError(f"{path} holds no estimator; if it is a checkpoint, give it to `checkpoint`")
        name = content["estimator"]
        found: Any = next((known for known in _family(cls) if known.__qualname__ == name), None)
        if found is None:
            raise TypeError(f"{path} holds an estimator of class {name}, not {cls.__name__}; use {name}.load")
        estimator: Any = found(**read_params(found, content, path, params))
        with parsing(path):
            for key, value in content["attributes"].items():
                check_attribute(found, key, value)
                setattr(estimator, key, value)
            estimator._check_fitted()
        try:
            device = resolve_device(estimator.device)
        except ValueError:
            if "device" in params:
                raise
            device = torch.device("cpu")
        own_code = bool(content["left_out"]) or not found.__module__.startswith("skal.")
        try:
            estimator._load_nets(content, tensors, device, own_code=own_code)
        except MemoryError:
            raise
        except Exception as error:
            if params.keys() - {*content["left_out"], "device"} and not isinstance(error, ModelFileError):
                raise  # what replaces a saved parameter may be at fault
            raise ModelFileError(
                f"{path} holds weights that do not fit the networks of its parameters in this version of skal "
                f"({type(error).__name__}: {str(error)[:500]}); load it with the version that saved it"
            ) from error
        return estimator

    def _load_nets(
        self,
        content: dict[str, Any],
        tensors: dict[str, torch.Tensor],
        device: torch.device,
        *,
        own_code: bool,
    ) -> None:
        """Build the networks, once all other attributes are there, with the weights in a file."""
        estimator: Any = self
        others = [name for name in self._nets if name != "net_"]
        own = {name: part(tensors, name) for name in others}
        prefixes = tuple(f"{name}/" for name in others)
        own["net_"] = {name: tensor for name, tensor in tensors.items() if not name.startswith(prefixes)}
        for name in self._nets:
            saved = content if name == "net_" else content["other_nets"][name]
            seed, history = saved["seed"], saved["history"]
            if type(seed) is not int or seed < 0 or not all(isinstance(row, dict) for row in history):
                raise ModelFileError(f"has a seed {seed!r} or a history that no training has")
            make_net = partial(
                getattr(estimator, f"_make_{name.rstrip('_')}"),
                estimator.input_shape_,
                dtype=estimator.dtype_,
                amp=estimator.amp,
                seed=seed,
                **({"arrays": saved["arrays"]} if "arrays" in saved else {}),
            )
            with seeded(0, device):
                net = with_weights(make_net, own[name], device, own_code=own_code)
            net.history.extend(history)
            net.finish()
            setattr(estimator, name, net)
        for name in dir(type(self)):
            if name.endswith("_") and isinstance(inspect.getattr_static(self, name), property):
                getattr(self, name)  # made of what the file says

    def _check_fitted(self) -> None:
        """Raise ValueError or AttributeError where the fitted attributes cannot be those of a `fit`."""
        # A class of somebody else may set an attribute now and then.
        own = next(base for base in type(self).__mro__ if base.__module__.startswith("skal."))
        always = fitted_attributes(own).keys() - {*self._nets, "n_features_in_", "feature_names_in_"}
        if missing := sorted(always - vars(self).keys()):
            raise AttributeError(f"there is no {missing[0]}")


def written_params(estimator: BaseEstimator) -> dict[str, Any]:
    """The parameters of an estimator in the form for a file, and the names of those that are user code.

    Parameters
    ----------
    estimator : estimator

    Returns
    -------
    content : dict
        ``params`` and ``left_out``, for `read_params`.

    Examples
    --------
    >>> from sklearn.preprocessing import FunctionTransformer
    >>> from skal.training.saving import written_params
    >>> content = written_params(FunctionTransformer(abs, validate=True))
    >>> content["params"]["validate"], content["left_out"]
    (True, ['func'])
    """
    params, left_out = {}, []
    for name, value in estimator.get_params(deep=False).items():
        try:
            params[name] = encode(value)
        except TypeError:
            left_out.append(name)
    return {"params": params, "left_out": left_out}


def read_params(
    cls: Any, content: dict[str, Any], path: str | os.PathLike[str], given: dict[str, Any]
) -> dict[str, Any]:
    """The parameters for an estimator of a class: those in a file, and those given in their place.

    Parameters
    ----------
    cls : type
        With ``_parameter_constraints``.
    content : dict
        The content of the file, with the result of `written_params`.
    path : str or path-like
        The file, for errors.
    given : dict

    Returns
    -------
    params : dict

    Raises
    ------
    ModelFileError
        If the file has invalid parameters, or parameters that the class does not have.
    TypeError
        If a parameter that was left out is not given.

    Examples
    --------
    >>> from skal.stopping import ClassificationChange
    >>> from skal.training.saving import read_params, written_params
    >>> content = written_params(ClassificationChange(n_rounds=2))
    >>> read_params(ClassificationChange, content, "criterion", {"threshold": 0.5})
    {'n_rounds': 2, 'n_rows': 2000, 'random_state': None, 'threshold': 0.5}
    """
    with parsing(path):
        left_out = _known_params(cls, content["left_out"])
        kept = _known_params(cls, [name for name in content["params"] if name not in given])
        saved = {name: decode(content["params"][name]) for name in kept}
        _check_integers(saved)
        validate_parameter_constraints(cls._parameter_constraints, saved, caller_name=cls.__name__)
    missing = [name for name in left_out if name not in given]
    if missing:
        raise TypeError(
            f"{path} was saved without the parameters {missing}, which are objects of its author; pass them to load, "
            f"such as load(path, {missing[0]}=...)"
        )
    return saved | given


def _known_params(cls: Any, names: Any) -> list[str]:
    """Return names that are all parameters of a class."""
    known, names = cls._get_param_names(), list(names)
    for name in names:
        if name not in known:
            raise ValueError(f"{cls.__name__} has no parameter {name!r}")
    return names


def _check_integers(value: Any) -> None:
    """Refuse integers with which no network computes."""
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        raise ValueError(f"{str(value)[:50]} does not fit into 64 bits")
    inner = value.values() if isinstance(value, dict) else value
    for each in inner if isinstance(value, dict | list | tuple) else ():
        _check_integers(each)


def _family(cls: type) -> list[type]:
    """Return a class and all its subclasses."""
    children: list[type] = cls.__subclasses__()
    return [cls, *(member for child in children for member in _family(child))]

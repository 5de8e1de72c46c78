"""Fitted estimators in files: weights as tensors, parameters as JSON, no code."""

from __future__ import annotations

import os
from typing import Any, ClassVar, Self

import torch
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from ..exceptions import ModelFileError
from .devices import resolve_device, seeded
from .encoding import decode, encode
from .files import read_file, write_file
from .net import part


class SavedEstimator(BaseEstimator):
    """Base of the estimators with networks, which are saved to a file and loaded from it.

    Attributes whose names end in an underscore are saved with the networks. A subclass builds a net, not initialized,
    in ``_make_net``; another net, such as ``vae_net_``, has a method of its own, ``_make_vae_net``.
    """

    _nets: ClassVar[tuple[str, ...]] = ("net_",)  # attributes that hold a net; `save` writes them all

    def save(self, path: str | os.PathLike[str]) -> None:
        """Save the fitted estimator: weights as safetensors, parameters as JSON, in one file.

        The file is written completely or not at all, and is safe to load because it contains no code. Parameters that
        are code of yours, such as `callbacks` or the class of your own module, are left out; `load` asks for them.

        Parameters
        ----------
        path : str or path-like
            An existing file is replaced.

        Raises
        ------
        NotFittedError
            If the estimator is not fitted.
        OSError
            If the file cannot be written.
        """
        check_is_fitted(self)
        params, left_out = {}, []
        for name, value in self.get_params(deep=False).items():
            try:
                params[name] = encode(value)
            except TypeError:
                left_out.append(name)
        tensors: dict[str, torch.Tensor] = {}
        nets = {}
        for name in self._nets:
            net = getattr(self, name)
            prefix = "" if name == "net_" else f"{name}/"
            tensors |= {f"{prefix}{key}": tensor for key, tensor in net.state_dict().items()}
            nets[name] = {"seed": net.seed, "history": net.saved_history()}
        content = {
            "estimator": type(self).__qualname__,
            "params": params,
            "left_out": left_out,
            "attributes": {
                name: value for name, value in vars(self).items() if name[-1] == "_" and name not in nets
            },
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
            Parameters that replace the saved ones, and those that were left out. Without `device`, the networks of a
            GPU are loaded to the CPU if there is no GPU.

        Returns
        -------
        estimator : estimator
            Fitted. The optimizers are not saved; a checkpoint has them.

        Raises
        ------
        ModelFileError
            If skal did not write the file, it is truncated or damaged, or does not fit the networks of this version.
        TypeError
            If it holds another estimator, or a parameter that was left out is missing.
        OSError
            If the file cannot be read.
        """
        tensors, content = read_file(path)
        if not {"estimator", "params", "attributes"} <= content.keys():
            raise ModelFileError(f"{path} holds no estimator; if it is a checkpoint, give it to `checkpoint`")
        name = content["estimator"]
        found = next((known for known in _family(cls) if known.__qualname__ == name), None)
        if found is None:
            raise TypeError(f"{path} holds an estimator of class {name}, not {cls.__name__}; use {name}.load")
        missing = [key for key in content["left_out"] if key not in params]
        if missing:
            raise TypeError(
                f"{path} was saved without the parameters {missing}, which are code of its author; pass them to load, "
                f"such as load(path, {missing[0]}=...)"
            )
        estimator: Any = found(**{key: decode(value) for key, value in content["params"].items()} | params)
        for key, value in content["attributes"].items():
            setattr(estimator, key, value)
        try:
            device = resolve_device(estimator.device)
        except ValueError:
            if "device" in params:
                raise
            device = torch.device("cpu")
        for name, saved in {"net_": content, **content.get("other_nets", {})}.items():
            make_net = getattr(estimator, f"_make_{name.rstrip('_')}")
            try:
                settings = {"dtype": estimator.dtype_, "amp": estimator.amp, "seed": saved["seed"]}
                with seeded(0, device):
                    net = make_net(estimator.input_shape_, device=str(device), **settings).initialize()
                net.load_state_dict(tensors if name == "net_" else part(tensors, name))
                net.history.extend(saved["history"])
            except (RuntimeError, KeyError) as error:
                raise ModelFileError(
                    f"{path} holds weights that do not fit the networks of its parameters in this version of skal "
                    f"({error}); load it with the version that saved it"
                ) from error
            net.finish()
            setattr(estimator, name, net)
        return estimator


def _family(cls: type) -> list[type]:
    """Return a class and all its subclasses."""
    children: list[type] = cls.__subclasses__()
    return [cls, *(member for child in children for member in _family(child))]

"""Every name of docs/api.md has a numpydoc docstring with its parameters and a runnable example."""

import inspect
import re
from enum import Enum
from operator import attrgetter
from pathlib import Path

import pytest
import torch
from numpydoc.validate import validate

import skal.access
import skal.campaign
import skal.campaign.label_studio
import skal.campaign.page
import skal.classifiers
import skal.datasets
import skal.evaluation
import skal.exceptions
import skal.generators
import skal.generators.losses
import skal.metrics
import skal.model_selection
import skal.nets
import skal.plotting
import skal.selection
import skal.stopping
import skal.strategies
import skal.testing
import skal.training.files
import skal.utils.random

# A docstring, its summary, and all parameters in it.
CODES = {"GL08", "SS01", "PR01", "PR02"}
API = re.findall(
    r"^   ([\w.]+)$", (Path(__file__).parents[1] / "docs" / "api.md").read_text(), flags=re.MULTILINE
)


def test_every_exported_name_is_in_the_api():
    modules = [
        skal,
        skal.access,
        skal.campaign,
        skal.campaign.page,
        skal.classifiers,
        skal.datasets,
        skal.evaluation,
        skal.generators,
        skal.metrics,
        skal.model_selection,
        skal.nets,
        skal.plotting,
        skal.selection,
        skal.stopping,
        skal.strategies,
    ]
    exported = {f"{m.__name__}.{name}".removeprefix("skal.") for m in modules for name in m.__all__}
    assert exported - {
        "UNLABELED",
        "access.QUESTIONS",
        "nets.ARCHITECTURES",
        "nets.AUTOENCODERS",
        "nets.GANS",
        "nets.VAES",
    } <= set(API)


def test_every_name_stands_once_in_the_api():
    assert sorted(set(API)) == sorted(API)


@pytest.mark.parametrize("name", API)
def test_docstring(name):
    value = attrgetter(name)(skal)
    names = [f"skal.{name}"]
    if inspect.isclass(value) and not issubclass(value, torch.nn.Module):
        names += [
            f"skal.{name}.{key}"
            for key, f in vars(value).items()
            # A method without a docstring has that of the one it replaces.
            if inspect.isfunction(f)
            and key[0] != "_"
            and (f.__doc__ or not inspect.getdoc(getattr(value, key)))
        ]
    if inspect.isclass(value) and issubclass(value, Enum):  # whose signature is that of its metaclass
        names.remove(f"skal.{name}")
    assert not re.search(r"^\{\w+(, \w+)*\}$", value.__doc__, flags=re.MULTILINE)  # a text that no base has
    found = [f"{n}: {text}" for n in names for code, text in validate(n)["errors"] if code in CODES]
    assert not found
    assert inspect.isabstract(value) or ">>>" in value.__doc__


@pytest.mark.parametrize("name", [name for name in API if not name.startswith("exceptions.")])
def test_documented_defaults_are_those_of_the_signature(name):
    value = attrgetter(name)(skal)
    parameters = inspect.signature(value).parameters
    text = re.split(r"^(?:Attributes|Returns|Yields)$", inspect.getdoc(value), flags=re.MULTILINE)[0]
    for names, documented in re.findall(r"^(\w+(?:, \w+)*) : .*default=(.+)$", text, re.MULTILINE):
        for parameter in names.split(", "):
            default = parameters[parameter].default
            if documented == "64 MiB":
                documented = "64 * 2**20"
            assert eval(documented, {"skal": skal, "torch": torch}) == default, parameter

import json
import math
import os
import re
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path, PurePosixPath

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from skal.exceptions import ModelFileError
from skal.nets import LeNet
from skal.strategies import RandomSampling
from skal.training import encoding
from skal.training.encoding import decode, encode
from skal.utils import inheriting
from tests.processes import run_fresh

CLASSES = {
    "torch.nn.Module": torch.nn.Module,
    "torch.nn.Linear": torch.nn.Linear,
    "torch.optim.Adam": torch.optim.Adam,
    "skal.nets.LeNet": LeNet,
    "skal.strategies.RandomSampling": RandomSampling,
}


def identical(a, b):
    """Same type and value; every NaN is the same float, arrays are compared by their bytes."""
    if type(a) is not type(b):
        return False
    if isinstance(a, dict):
        return list(a) == list(b) and all(identical(a[key], b[key]) for key in a)
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(identical, a, b))
    if isinstance(a, np.ndarray | np.generic):
        if (a.dtype, a.shape) != (b.dtype, b.shape):
            return False
        return identical(list(a.flat), list(b.flat)) if a.dtype.kind == "O" else a.tobytes() == b.tobytes()
    if type(a) is float:
        return (math.isnan(a) and math.isnan(b)) or (a == b and math.copysign(1, a) == math.copysign(1, b))
    return a == b


text = st.text(st.characters(), max_size=8)  # with lone surrogates
array_dtypes = st.one_of(
    hnp.boolean_dtypes(),
    hnp.integer_dtypes(),
    hnp.unsigned_integer_dtypes(),
    hnp.floating_dtypes(),
    hnp.complex_number_dtypes(),
    hnp.datetime64_dtypes(),
    hnp.timedelta64_dtypes(),
    hnp.unicode_string_dtypes(max_len=4),
    hnp.byte_string_dtypes(max_len=4),
)
shapes = hnp.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=3)
leaves = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    text,
    hnp.arrays(array_dtypes, shapes),
    hnp.arrays(array_dtypes, ()).map(lambda array: array[()]),
    hnp.arrays(object, shapes, elements=st.none() | text | st.integers() | st.floats()),
    st.sampled_from([torch.float32, torch.bfloat16, torch.bool, torch.complex128]),
    st.sampled_from(["cpu", "cuda", "cuda:1", "meta"]).map(torch.device),
    st.text("ab/.~ é", max_size=8).map(Path),
    st.sampled_from(list(CLASSES.values())),
)
keys = st.one_of(text, text.map("!{}".format), st.sampled_from(list(encoding._DECODERS)))
values = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(keys, inner, max_size=3),
    ),
    max_leaves=8,
)


@given(values)
def test_values_come_back_with_their_types(value):
    assert identical(decode(json.loads(json.dumps(encode(value), allow_nan=False))), value)


def test_identical_can_tell():
    pairs = [(1, True), (0.0, -0.0), (1, 1.0), ((1,), [1]), (math.nan, 1.0), (np.int64(1), 1), ([1], [1, 2])]
    pairs += [(np.zeros(2), np.zeros(2, np.float32)), (np.zeros((1, 2)), np.zeros((2, 1)))]
    assert not any(identical(*pair) for pair in pairs)


@pytest.mark.parametrize(("name", "value"), CLASSES.items())
def test_classes_are_found_by_their_public_name(name, value):
    assert encode(value) == {"!class": name}
    assert decode({"!class": name}) is value


def test_arrays_are_writable_and_own_their_memory():
    array = decode(encode(np.arange(3)))
    array += 1
    assert array.tolist() == [1, 2, 3]


def test_classes_of_skal_are_imported_when_needed():
    code = """if True:
        import sys
        from skal.training.encoding import decode
        for name in [name for name in sys.modules if name.startswith("skal.classifiers")]:
            del sys.modules[name]
        assert decode({"!class": "skal.classifiers.CNNClassifier"}).__module__ == "skal.classifiers.cnn"
    """
    run_fresh(code)


class Local(torch.nn.Module):
    pass


class Impostor(torch.nn.Module):
    __module__ = "torch.nn.modules.linear"
    __qualname__ = "Linear"


class Number(float):
    pass


@pytest.mark.parametrize(
    "value",
    [
        lambda x: x,
        print,
        torch.load,
        torch.nn.functional.relu,
        torch.Tensor,
        dict,
        np.float32,
        inheriting.BaseEstimator,  # of scikit-learn
        Local,
        Impostor,
        LeNet((1, 8, 8), 2),
        torch.zeros(2),
        torch.Size([1]),
        torch.Generator(),
        np.random.RandomState(0),
        np.random.default_rng(0),
        Number(1.0),
        os.stat_result(range(10)),
        b"bytes",
        1j,
        {1, 2},
        slice(3),
        range(3),
        partial(print),
        PurePosixPath("a"),
        {1: 2},
        {np.str_("a"): 2},
        np.array([print], object),
        np.zeros(2, [("a", int)]),
        np.zeros(2, [("a", int)])[0],
        np.ma.masked_array([1.0, 2.0]),
        np.zeros(2).view(np.matrix),
        np.array(["a"], np.dtypes.StringDType()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_refused_values(value):
    for nested in (value, [value], (value,), {"a": value}):
        with pytest.raises(TypeError, match="cannot be written to a model file; basic Python and NumPy"):
            encode(nested)


@pytest.mark.parametrize(
    "name",
    [
        "os.system",
        "builtins.eval",
        "torch.os.system",
        "torch.hub.load",
        "torch.load",
        "torch.nn.functional.relu",
        "torch.Tensor",
        "torch.nn",
        "torch.utils.tensorboard.SummaryWriter",
        "torch.distributed.run.main",  # a module that nobody has imported
        "antigravity.Module",
        "torchvision.models.ResNet",
        "sklearn.linear_model.LogisticRegression",
        "skal.utils.inheriting.BaseEstimator",  # of scikit-learn
        "skal.training.files.os.system",
        "skal.training.files.write_file",
        "skal.no_such_module.Net",
        "skal..nets.LeNet",
        "skal",
        "LeNet",
        "",
        ".",
    ],
)
def test_refused_names(name):
    before = set(sys.modules)
    with pytest.raises(ModelFileError, match=re.escape(f"names {name!r}, which is not")) as caught:
        decode([{"!tuple": [{"!class": name}]}])
    assert str(caught.value).startswith("names")
    assert set(sys.modules) == before


junk = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | text
    | st.sampled_from(["|O", "<f8", "<U3", "AAAA"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=2),
    max_leaves=8,
)


@given(st.dictionaries(st.sampled_from(list(encoding._DECODERS)), junk, min_size=1, max_size=2))
def test_junk_raises_nothing_else(encoded):
    with suppress(ModelFileError):
        decode(encoded)


@pytest.mark.parametrize(
    "encoded",
    [
        {"!pickle": "gASVAAAA"},
        {"!tuple": [], "!float": "nan"},
        {"!float": "x"},
        {"!dtype": "load"},
        {"!device": "nowhere"},
        {"!array": ["|O", [1], "AAAAAAAAAAA="]},
        {"!array": ["O", [1], "AAAAAAAAAAA="]},  # pointers
        {"!array": ["|V8", [1], "AAAAAAAAAAA="]},
        {"!array": ["<f8,|O", [1], "AAAAAAAAAAA="]},
        {"!array": ["<f8", [10**15], "AAAAAAAAAAA="]},
        {"!array": ["<f8", [-2], "AAAAAAAAAAA="]},
        {"!array": ["|O", [10**15], []]},
    ],
)
def test_malformed_values(encoded):
    with pytest.raises(ModelFileError):
        decode(encoded)

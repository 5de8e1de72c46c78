import io
import json
import math
import os
import pickle
import re
import zipfile
from functools import partial
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import safetensors
import safetensors.torch
import torch

from skal.exceptions import ModelFileError
from skal.training import files
from skal.training.files import map_file, read_file, write_file

DTYPES = list(files._DTYPES)
CONTENT = {"hidden": (64, 32), "lr": 1e-3, "text": "é\ud800", "classes": np.array(["no", "yes"], object)}


def same_tensors(a, b):
    return list(a) == list(b) and all(
        a[name].dtype == b[name].dtype
        and a[name].shape == b[name].shape
        and torch.equal(as_integers(a[name]), as_integers(b[name]))
        for name in a
    )


def as_integers(tensor):
    return tensor.detach().cpu().resolve_conj().resolve_neg().contiguous().view(-1).view(torch.uint8)


def sealed(header, data=b""):
    """The bytes of a file with the given header and the digest that fits, as a forger would make it."""
    text = json.dumps(header, separators=(",", ":")).encode()
    raw = len(text).to_bytes(8, "little") + text + data
    at = raw.index(b'"sha256":"') + 10
    return raw[:at] + sha256(raw[:at] + raw[at + 64 :]).hexdigest().encode() + raw[at + 64 :]


def header(content="{}", version="1", **entries):
    metadata = {"format": "skal", "sha256": "0" * 64, "version": version, "content": content}
    return {"__metadata__": metadata, **entries}


# Tensors


def random_bits(shape, dtype):
    """Every pattern of bits, NaNs of all kinds too."""
    generator = torch.Generator().manual_seed(0)
    if dtype is torch.bool:
        return torch.randint(2, shape, generator=generator).bool()
    width = torch.empty((), dtype=dtype).element_size()
    raw = torch.randint(256, (math.prod(shape) * width,), generator=generator, dtype=torch.uint8)
    return raw.view(dtype).view(shape)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("shape", [(), (0,), (3,), (2, 0, 3), (2, 3, 5)], ids=str)
def test_tensors_of_every_type_and_shape(tmp_path, dtype, shape):
    tensors = {"byte": torch.tensor([7], dtype=torch.uint8), "a": random_bits(shape, dtype)}
    write_file(tmp_path / "f", tensors, {})
    read, _ = read_file(tmp_path / "f")
    assert same_tensors(read, tensors)


def layouts():
    x = random_bits((2, 3, 4, 5), torch.float32)
    whole = torch.arange(12.0)
    z = random_bits((2, 3), torch.complex64)
    return {
        "transposed": x.mT,
        "channels last": x.contiguous(memory_format=torch.channels_last),
        "strided": x[:, ::2, 1:, ::3],
        "expanded": torch.ones(1, 3).expand(4, 3),
        "whole": whole,
        "part": whole[3:7],
        "again": whole,
        "parameter": torch.nn.Parameter(torch.ones(2)),
        "conjugate": z.conj(),
        "negative": torch._neg_view(torch.ones(3)),
        'weight "x"\n/é': torch.ones(1),
        "": torch.ones(1),
    }


def test_layouts_and_shared_memory(tmp_path):
    tensors = layouts()
    write_file(tmp_path / "f", tensors, {})
    read, _ = read_file(tmp_path / "f")
    assert same_tensors(read, tensors)
    assert all(tensor.is_contiguous() and not tensor.requires_grad for tensor in read.values())
    assert len({tensor.untyped_storage().data_ptr() for tensor in read.values()}) == len(tensors)
    for tensor in read.values():
        tensor.zero_()  # writable, with no warning


@pytest.mark.gpu
def test_tensors_on_a_gpu_come_back_on_the_cpu(tmp_path):
    tensors = {name: tensor.cuda() for name, tensor in layouts().items()}
    write_file(tmp_path / "f", tensors, {})
    read, _ = read_file(tmp_path / "f")
    assert same_tensors(read, tensors)
    assert {tensor.device.type for tensor in read.values()} == {"cpu"}


def test_the_file_is_plain_safetensors(tmp_path):
    tensors = {
        "byte": torch.ones(1, dtype=torch.uint8),
        "wide": torch.ones(2, dtype=torch.float64),
        **layouts(),
    }
    write_file(tmp_path / "f", tensors, CONTENT)
    read = safetensors.torch.load_file(tmp_path / "f")
    assert same_tensors({name: read.pop(name) for name in tensors}, tensors)
    assert not read
    raw = (tmp_path / "f").read_bytes()
    length = int.from_bytes(raw[:8], "little")
    start = json.loads(raw[8 : 8 + length])["wide"]["data_offsets"][0]
    assert length % 8 == start % 8 == 0  # whoever maps the file finds its numbers aligned
    with safetensors.safe_open(tmp_path / "f", "pt") as file:
        assert file.metadata().keys() == {"format", "sha256", "version", "content"}
        assert file.metadata()["format"] == "skal"


def test_same_input_same_bytes(tmp_path):
    for name in "ab":
        write_file(tmp_path / name, layouts(), CONTENT)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    "tensor",
    [torch.zeros(2).to_sparse(), torch.zeros(2, dtype=torch.complex128), torch.zeros(2, device="meta")],
    ids=["sparse", "complex128", "meta"],
)
def test_tensors_that_cannot_be_written(tmp_path, tensor):
    with pytest.raises(TypeError, match=r"tensor 'a' has layout .* make it dense"):
        write_file(tmp_path / "f", {"a": tensor}, {})
    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["__metadata__", "\ud800"])
def test_tensor_names_that_cannot_be_written(tmp_path, name):
    with pytest.raises(ValueError, match=r"rename|surrogates"):
        write_file(tmp_path / "f", {name: torch.zeros(2)}, {})
    assert not any(tmp_path.iterdir())


def test_a_header_that_safetensors_would_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "_MAX_HEADER", 1000)
    write_file(tmp_path / "f", {}, {"array": np.zeros(40)})
    with pytest.raises(ValueError, match="a safetensors header at most 1000; write large arrays as tensors"):
        write_file(tmp_path / "f", {}, {"array": np.zeros(400)})


def test_content_comes_back_from_a_file(tmp_path):
    write_file(str(tmp_path / "f"), {}, CONTENT)
    tensors, content = read_file(str(tmp_path / "f"))
    assert not tensors
    assert repr(content) == repr(CONTENT)


# Damage


@pytest.fixture
def model_file(tmp_path):
    """A small file, its tensors and its parameters."""
    path = tmp_path / "net.skal"
    tensors = {"step": torch.tensor(3), "weight": torch.eye(2), "é": torch.ones(3, dtype=torch.bfloat16)}
    write_file(path, tensors, CONTENT)
    return SimpleNamespace(path=path, tensors=tensors, raw=path.read_bytes())


def test_every_truncation_is_noticed(model_file):
    read_file(model_file.path)
    for length in reversed(range(len(model_file.raw))):
        os.truncate(model_file.path, length)
        with pytest.raises(ModelFileError, match=r"only the start of one|truncated or altered"):
            read_file(model_file.path)


def test_every_flipped_bit_is_noticed(model_file):
    with open(model_file.path, "r+b", buffering=0) as file:  # in place: a new file each time is slow
        for at, byte in enumerate(model_file.raw):
            for flipped in [*(byte ^ 1 << bit for bit in range(8)), byte]:
                os.pwrite(file.fileno(), bytes([flipped]), at)
                if flipped != byte:
                    with pytest.raises(ModelFileError, match=r"is not a model file|truncated or altered"):
                        read_file(model_file.path)
    assert model_file.path.read_bytes() == model_file.raw
    assert same_tensors(read_file(model_file.path)[0], model_file.tensors)


@pytest.mark.parametrize("extra", [b"\0", b" ", b"more"])
def test_bytes_at_the_end_are_noticed(model_file, extra):
    model_file.path.write_bytes(model_file.raw + extra)
    with pytest.raises(ModelFileError, match=r"net.skal is damaged: .* save the model again"):
        read_file(model_file.path)


def foreign_files():
    archive, saved = io.BytesIO(), io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr("a", "b")
    torch.save({"a": torch.zeros(2)}, saved)
    return {
        "empty": b"",
        "random": np.random.default_rng(0).bytes(1000),
        "pickle": pickle.dumps({"a": 1}),
        "zip": archive.getvalue(),
        "torch": saved.getvalue(),
        "text": b"format: skal\n" * 10,
        "safetensors": safetensors.torch.save({"a": torch.zeros(2)}, {"format": "pt"}),
        "long header": (2**63).to_bytes(8, "little") + b"{}",
    }


@pytest.mark.parametrize("name", foreign_files())
def test_foreign_files(tmp_path, name):
    path = tmp_path / "foreign"
    path.write_bytes(foreign_files()[name])
    with pytest.raises(ModelFileError, match=r"foreign is not a model file of skal.*; give a file that skal"):
        read_file(path)


def test_newer_version(tmp_path, monkeypatch):
    with monkeypatch.context() as later:
        later.setattr(files, "_VERSION", 2)
        write_file(tmp_path / "f", {}, {})
        read_file(tmp_path / "f")
    with pytest.raises(ModelFileError, match=r"f has format version 2, this skal reads 1; update skal"):
        read_file(tmp_path / "f")


def test_sealed_is_what_is_written(tmp_path):
    path = tmp_path / "f"
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
    path.write_bytes(sealed(header('{"a":{"!tuple":[1]}}', a=entry), np.float32(2).tobytes()))
    tensors, content = read_file(path)
    assert tensors == {"a": torch.tensor([2.0])}
    assert content == {"a": (1,)}


@pytest.mark.parametrize(
    "forged",
    [
        header("{"),
        header("[" * 100_000),
        header('{"a":{"!class":"os.system"}}'),
        header('{"a":{"!array":["<f8",[1000000000000],""]}}'),
        header("[1]"),
        header(version="one"),
        {"__metadata__": {"format": "skal", "sha256": "0" * 64}},
        header(a=None),
        header(a={"dtype": "F32", "shape": [10**12], "data_offsets": [0, 4 * 10**12]}),
        header(a={"dtype": "F32", "shape": [2**62, 2**62, 0], "data_offsets": [0, 0]}),
        header(a={"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}),
        header(a={"dtype": "X9", "shape": [1], "data_offsets": [0, 4]}),
    ],
    ids=lambda forged: str(forged)[100:160],
)
def test_forged_files(tmp_path, forged):
    path = tmp_path / "f"
    path.write_bytes(sealed(forged, bytes(8)))
    for read in (read_file, map_file, partial(map_file, verify=False)):
        with pytest.raises(ModelFileError, match=re.escape(f"{path} ")):
            read(path)


def test_files_that_cannot_be_opened(tmp_path):
    with pytest.raises(FileNotFoundError):
        read_file(tmp_path / "nothing")
    with pytest.raises(IsADirectoryError):
        read_file(tmp_path)


def test_nothing_is_unpickled(model_file, monkeypatch):
    def fail(*args, **kwargs):
        raise AssertionError("unpickled")

    for module, name in [(pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (torch, "load")]:
        monkeypatch.setattr(module, name, fail)
    assert same_tensors(read_file(model_file.path)[0], model_file.tensors)
    model_file.path.write_bytes(foreign_files()["torch"])
    with pytest.raises(ModelFileError):
        read_file(model_file.path)


# Mapping


def test_mapped_tensors_are_views_of_the_file(model_file):
    del model_file.tensors["é"]  # NumPy has no bfloat16
    model_file.tensors["byte"] = torch.tensor([[7], [8]], dtype=torch.uint8)
    write_file(model_file.path, model_file.tensors, CONTENT)
    for verify in (False, True):
        arrays, content = map_file(model_file.path, verify=verify)
        assert same_tensors({k: torch.from_numpy(v.copy()) for k, v in arrays.items()}, model_file.tensors)
        assert repr(content) == repr(CONTENT)
        assert all(isinstance(array.base, np.memmap) for array in arrays.values())
        assert not any(array.flags.writeable for array in arrays.values())


def test_a_file_without_tensors_is_mapped(tmp_path):
    write_file(tmp_path / "f", {}, {"a": 1})
    assert map_file(tmp_path / "f") == ({}, {"a": 1})


def test_what_numpy_cannot_hold_is_not_mapped(model_file):
    with pytest.raises(ModelFileError, match="BFloat16"):
        map_file(model_file.path)


@pytest.mark.parametrize("verify", [False, True])
def test_damage_is_noticed_before_anything_is_mapped(tmp_path, verify):
    path = tmp_path / "f"
    write_file(path, {"weight": torch.eye(2)}, {})
    raw = path.read_bytes()
    for length in range(len(raw)):
        path.write_bytes(raw[:length])
        with pytest.raises(ModelFileError, match=re.escape(f"{path} ")):
            map_file(path, verify=verify)
    for damaged in (raw + b"1", *foreign_files().values()):
        path.write_bytes(damaged)
        with pytest.raises(ModelFileError, match=re.escape(f"{path} ")):
            map_file(path, verify=verify)


def test_only_verifying_finds_altered_numbers(tmp_path):
    path = tmp_path / "f"
    write_file(path, {"weight": torch.eye(2)}, {})
    raw = path.read_bytes()
    path.write_bytes(raw[:-1] + bytes([raw[-1] ^ 1]))
    with pytest.raises(ModelFileError, match="is damaged"):
        map_file(path)
    assert map_file(path, verify=False)[0]["weight"].shape == (2, 2)


# Writing


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
@pytest.mark.parametrize("stage", ["_as_bytes", "os.fsync", "os.replace"])
def test_a_failure_leaves_the_old_file_and_nothing_else(model_file, monkeypatch, stage, error):
    def fail(*args):
        raise error("no space left")

    monkeypatch.setattr(f"skal.training.files.{stage}", fail)
    with pytest.raises(error, match="no space left"):
        write_file(model_file.path, {"a": torch.zeros(2)}, {})
    assert model_file.path.read_bytes() == model_file.raw
    assert list(model_file.path.parent.iterdir()) == [model_file.path]


def test_the_new_file_is_whole_and_on_disk_before_it_replaces_the_old(model_file, monkeypatch):
    folder, calls = model_file.path.parent, []
    fsync, replace = os.fsync, os.replace

    def spy_fsync(handle):
        calls.append(("fsync", os.fstat(handle).st_ino))
        fsync(handle)

    def spy_replace(source, target):
        assert Path(source).parent == folder  # else it could not be atomic
        assert read_file(source)[1] == {"new": True}
        assert Path(target).read_bytes() == model_file.raw
        calls.append(("replace", os.stat(source).st_ino))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", spy_fsync)
    monkeypatch.setattr(os, "replace", spy_replace)
    write_file(model_file.path, model_file.tensors, {"new": True})
    inode = model_file.path.stat().st_ino
    assert calls == [("fsync", inode), ("replace", inode)]
    assert list(folder.iterdir()) == [model_file.path]


def test_content_that_cannot_be_written_leaves_the_old_file(model_file):
    with pytest.raises(TypeError, match="cannot be written"):
        write_file(model_file.path, {}, {"callback": print})
    assert model_file.path.read_bytes() == model_file.raw


def test_the_file_has_the_permissions_of_any_new_file(model_file):
    usual = model_file.path.with_name("usual")
    usual.touch()
    assert model_file.path.stat().st_mode == usual.stat().st_mode


def test_a_link_is_followed(model_file):
    link = model_file.path.with_name("link")
    link.symlink_to(model_file.path)
    write_file(link, {}, {"new": True})
    assert link.is_symlink()
    assert read_file(model_file.path) == ({}, {"new": True})


def test_where_no_file_can_be_written(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such folder; make it first.*nowhere"):
        write_file(tmp_path / "nowhere" / "f", {}, {})
    with pytest.raises(IsADirectoryError, match="give the name of a file"):
        write_file(tmp_path, {}, {})
    assert not any(tmp_path.iterdir())

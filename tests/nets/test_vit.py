"""Against torchvision's own transformer, and against one written by hand for timm's names; most tests use tiny ones."""

import pickle

import numpy as np
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from sklearn.base import clone

from skal.classifiers import CNNClassifier
from skal.nets import ViTSmall
from skal.utils.torchvision import import_torchvision

TINY = {"n_layers": 2, "n_heads": 2, "width": 8}


def images(*shape, dtype=torch.float64):
    return torch.rand(shape, generator=torch.Generator().manual_seed(0), dtype=dtype)


def timm_state(channels=3, patch_size=4, grid=4, n_layers=2, width=8, n_classes=5):
    """Random weights under timm's names, none of them special."""
    generator = torch.Generator().manual_seed(1)

    def random(*shape):
        return torch.randn(shape, generator=generator, dtype=torch.float64) / shape[-1] ** 0.5

    def linear(name, n_out, n_in):
        return {f"{name}.weight": random(n_out, n_in), f"{name}.bias": random(n_out)}

    def norm(name):
        return {f"{name}.weight": 1 + random(width), f"{name}.bias": random(width)}

    state = {
        "cls_token": random(1, 1, width),
        "pos_embed": random(1, 1 + grid**2, width),
        "patch_embed.proj.weight": random(width, channels, patch_size, patch_size),
        "patch_embed.proj.bias": random(width),
        **norm("norm"),
        **linear("head", n_classes, width),
    }
    for i in range(n_layers):
        state |= {**norm(f"blocks.{i}.norm1"), **norm(f"blocks.{i}.norm2")}
        for name, n_out, n_in in [
            ("attn.qkv", 3 * width, width),
            ("attn.proj", width, width),
            ("mlp.fc1", 4 * width, width),
            ("mlp.fc2", width, 4 * width),
        ]:
            state |= linear(f"blocks.{i}.{name}", n_out, n_in)
    return state


def timm_forward(state, x, n_layers=2, n_heads=2):
    """The pre-norm transformer as its paper has it: equations 1 to 4, the MLP with GELU, attention head by head."""

    def linear(name, x):
        return x @ state[f"{name}.weight"].T + state[f"{name}.bias"]

    def norm(name, x):
        x = (x - x.mean(-1, keepdim=True)) / (x.var(-1, keepdim=True, correction=0) + 1e-6).sqrt()
        return x * state[f"{name}.weight"] + state[f"{name}.bias"]

    kernels = state["patch_embed.proj.weight"]
    size = kernels.shape[-1]
    patches = x.unfold(2, size, size).unfold(3, size, size)  # (N, C, rows, columns, size, size)
    tokens = (
        torch.einsum("ncijuv,dcuv->nijd", patches, kernels).flatten(1, 2) + state["patch_embed.proj.bias"]
    )
    x = torch.cat([state["cls_token"].expand(len(x), -1, -1), tokens], 1) + state["pos_embed"]
    width = x.shape[-1]
    for i in range(n_layers):
        block = f"blocks.{i}"
        queries, keys, values = linear(f"{block}.attn.qkv", norm(f"{block}.norm1", x)).split(width, -1)
        heads = []
        for q, k, v in zip(*(part.chunk(n_heads, -1) for part in (queries, keys, values)), strict=True):
            heads.append((q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v)
        x = x + linear(f"{block}.attn.proj", torch.cat(heads, -1))
        hidden = linear(f"{block}.mlp.fc1", norm(f"{block}.norm2", x))
        hidden = hidden * (1 + torch.erf(hidden / 2**0.5)) / 2
        x = x + linear(f"{block}.mlp.fc2", hidden)
    return linear("head", norm("norm", x)[:, 0])


@pytest.fixture
def torchvision_vit():
    """torchvision's network for 16x16 images in 4x4 patches, its zero head made random."""
    module = import_torchvision().models.VisionTransformer(16, 4, 2, 2, 8, 32, num_classes=5).double().eval()
    module.heads.head.load_state_dict({"weight": images(5, 8), "bias": images(5)})
    return module


def loaded(path, shape=(3, 16, 16), n_classes=5, **params):
    return ViTSmall(shape, n_classes, weights=path, **TINY, **params).double().eval()


def test_published_number_of_parameters():
    with torch.device("meta"):
        net = ViTSmall((3, 224, 224), 1000)
    assert net.body.patch_size == 16
    assert sum(parameter.numel() for parameter in net.parameters()) == 22_050_664


@pytest.mark.parametrize(
    ("side", "patch_size"),
    [(8, 4), (14, 7), (16, 4), (28, 4), (32, 4), (56, 4), (60, 5), (64, 8), (84, 6), (96, 8), (224, 16)],
)
def test_patches_cut_images_as_published(side, patch_size):
    with torch.device("meta"):
        assert ViTSmall((1, side, side), 2, **TINY).body.patch_size == patch_size


@pytest.mark.parametrize("shape", [(28, 28), (1, 28, 28), (3, 32, 32), (2, 84, 84)], ids=str)
@pytest.mark.parametrize("n_hidden", [None, 50])
def test_logits_are_the_head_of_the_embedding(shape, n_hidden):
    net = ViTSmall(shape, 7, n_hidden=n_hidden, **TINY).double().eval()
    x = images(3, *shape)
    embedding = net.embed(x)
    assert embedding.shape == (3, n_hidden or 8)
    torch.testing.assert_close(net(x), embedding @ net.head.weight.T + net.head.bias)
    assert net(x).shape == (3, 7)


@pytest.mark.parametrize("params", [{}, {"n_hidden": 4, "patch_size": 2}, {"resize": 12}], ids=str)
def test_gradients_reach_all_parameters(params):
    net = ViTSmall((1, 8, 8), 3, **TINY, **params).double()
    x = images(4, 1, 8, 8).requires_grad_()
    F.cross_entropy(net(x), torch.tensor([0, 1, 2, 0])).backward()
    assert all(parameter.grad.any() for parameter in net.parameters())
    assert x.grad.flatten(2).any(-1).all()


def test_dropout_is_for_training():
    net = ViTSmall((1, 8, 8), 3, dropout=0.5, **TINY)
    x = images(2, 1, 8, 8, dtype=torch.float32)
    assert not torch.equal(net(x), net(x))
    net.eval()
    torch.testing.assert_close(net(x), net(x))


@pytest.mark.parametrize(("shape", "side"), [((1, 9, 14), 12), ((3, 40, 40), 16)], ids=str)
def test_resize(shape, side):
    net = ViTSmall(shape, 3, resize=side, **TINY).double().eval()
    assert net.body.image_size == side
    x = images(2, *shape)
    plain = ViTSmall((shape[0], side, side), 3, **TINY).double().eval()
    plain.load_state_dict(net.state_dict())
    # Constant images stay what they are; others are what Pillow's bilinear filter makes of them, which averages.
    torch.testing.assert_close(net(torch.ones_like(x)), plain(torch.ones(2, shape[0], side, side).double()))
    resized = F.interpolate(x, (side, side), mode="bilinear", antialias=True)
    torch.testing.assert_close(net(x), plain(resized))


@pytest.mark.parametrize("channels", [1, 2])
def test_initial_kernels_keep_the_variance(channels):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        projection = ViTSmall((channels, 32, 32), 2, n_layers=1).body.conv_proj
    assert (projection.weight.var() * channels * 16).item() == pytest.approx(1, rel=0.1)
    assert not projection.bias.any()


# Pretrained weights


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
@pytest.mark.parametrize("legacy", [False, True])
def test_torchvisions_weights(tmp_path, torchvision_vit, suffix, legacy):
    state = torchvision_vit.state_dict()
    if legacy:  # the names in torchvision's first files
        state = {
            k.replace("mlp.0", "mlp.linear_1").replace("mlp.3", "mlp.linear_2"): v for k, v in state.items()
        }
    path = tmp_path / f"vit{suffix}"
    safetensors.torch.save_file(state, path) if suffix == ".safetensors" else torch.save(state, path)
    net = loaded(path)
    x = images(3, 3, 16, 16)
    torch.testing.assert_close(torchvision_vit.heads(net.embed(x)), torchvision_vit(x))


@pytest.mark.parametrize("suffix", [".pth", ".safetensors"])
def test_timms_weights(tmp_path, suffix):
    state = timm_state()
    path = tmp_path / f"vit{suffix}"
    safetensors.torch.save_file(state, path) if suffix == ".safetensors" else torch.save(
        {"model": state}, path
    )
    rounded = {name: tensor.float().double() for name, tensor in state.items()}  # as the network takes them
    net = loaded(path)
    net.head.load_state_dict({"weight": rounded["head.weight"], "bias": rounded["head.bias"]})
    x = images(3, 3, 16, 16)
    torch.testing.assert_close(net(x), timm_forward(rounded, x))
    gray = loaded(path, (16, 16))
    torch.testing.assert_close(gray.embed(x[:, 0]), net.embed(x[:, :1].expand(-1, 3, -1, -1)))


def test_position_embeddings_are_interpolated(tmp_path):
    # Embeddings that rise evenly along rows and columns still do so on a finer grid, away from its borders.
    state = timm_state(grid=6)
    rows, columns = torch.meshgrid(torch.arange(6.0), torch.arange(6.0), indexing="ij")
    slopes = images(2, 8)
    grid = rows[..., None] * slopes[0] + columns[..., None] * slopes[1]
    token = images(1, 1, 8) - 3
    state["pos_embed"] = torch.cat([token, grid.reshape(1, 36, 8)], 1)
    torch.save(state, tmp_path / "vit.pth")
    positions = loaded(tmp_path / "vit.pth", (3, 48, 48)).body.encoder.pos_embedding
    torch.testing.assert_close(positions[:, :1], token, rtol=1e-6, atol=1e-6)
    centres = (torch.arange(12) + 0.5) / 2 - 0.5
    expected = centres[:, None, None] * slopes[0] + centres[None, :, None] * slopes[1]
    inner = slice(4, 8)
    torch.testing.assert_close(
        positions[0, 1:].reshape(12, 12, 8)[inner, inner], expected[inner, inner], rtol=1e-5, atol=1e-5
    )
    same = loaded(tmp_path / "vit.pth", (3, 24, 24)).body.encoder.pos_embedding
    assert torch.equal(same, state["pos_embed"].float().double())


def test_weights_that_do_not_fit(tmp_path):
    state = timm_state()
    path = tmp_path / "vit.pth"
    for changed, message in [
        (
            {k: v for k, v in state.items() if k != "norm.bias"},
            r"vit\.pth does not fit .*: it lacks encoder\.ln\.bias; ",
        ),
        ({**state, "dist_token": torch.zeros(1)}, "it has an unknown dist_token; .*or weights=None"),
        (
            {**state, "cls_token": torch.zeros(1, 1, 4)},
            r"class_token of shape \(1, 1, 4\) instead of \(1, 1, 8\)",
        ),
        ({**state, "pos_embed": torch.zeros(8)}, r"pos_embedding of shape \(8,\)"),
        ({**state, "pos_embed": torch.zeros(1, 13, 8)}, r"pos_embedding of shape \(1, 13, 8\)"),
        ({**state, "patch_embed.proj.weight": torch.zeros(8)}, r"conv_proj\.weight of shape \(8,\)"),
        (
            timm_state(patch_size=16),
            r"16x16 pixels, this network has 4x4; pass patch_size=16, and resize=224",
        ),
        (
            timm_state(n_layers=3),
            r"unknown encoder\.layers\.encoder_layer_2\..* and 9 more; give weights of the same",
        ),
    ]:
        torch.save(changed, path)
        with pytest.raises(ValueError, match=message):
            loaded(path)
    with pytest.raises(
        FileNotFoundError, match=r"weights='vit_small_patch16_224' was given.*downloads nothing"
    ):
        loaded("vit_small_patch16_224")


# Images that cannot be cut


def test_refused_images_name_a_remedy_that_works():
    for shape, params, message, remedy in [
        ((3, 17, 22), {}, "square images, got 17x22; crop or pad them, or pass resize=24 ", {"resize": 24}),
        ((1, 17, 17), {}, r"17x17 pixels cannot .*out of \[1, 17\], or resize=20", {"resize": 20}),
        ((6, 6), {}, r"patch_size out of \[1, 2, 3, 6\], or resize=8", {"patch_size": 3}),
        ((6, 6), {}, "or resize=8", {"resize": 8}),
        (
            (3, 28, 28),
            {"patch_size": 16},
            r"patch_size=16 .* 28x28 pixels; .*\[1, 2, 4, 7, 14, 28\]",
            {"patch_size": 7},
        ),
        (
            (3, 28, 28),
            {"patch_size": 16},
            "a multiple of the patch size as resize",
            {"patch_size": 16, "resize": 32},
        ),
        ((3, 32, 32), {"patch_size": "small"}, "patch_size='small' was given", {"patch_size": "auto"}),
        ((3, 32, 32), {"patch_size": 0}, "patch_size=0 was given", {"patch_size": 8}),
        ((3, 32, 32), {"n_heads": 6}, "n_heads=6 does not divide width=8; .* such as 2", {"n_heads": 2}),
    ]:
        with pytest.raises(ValueError, match=message):
            ViTSmall(shape, 2, **TINY | params)
        assert ViTSmall(shape, 2, **TINY | remedy)(torch.zeros(2, *shape)).shape == (2, 2)


def test_as_a_classifier(tmp_path):
    path = tmp_path / "vit.safetensors"
    safetensors.torch.save_file(timm_state(grid=2), path)
    X = np.random.default_rng(0).random((9, 8, 8), dtype=np.float32)
    y = np.arange(9) % 3
    params = TINY | {"weights": str(path), "n_hidden": 4}
    clf = CNNClassifier("vit_small", module_params=params, max_epochs=2, batch_size=4, random_state=0).fit(
        X, y
    )
    probabilities = clf.predict_proba(X)
    np.testing.assert_array_equal(clone(clf).fit(X, y).predict_proba(X), probabilities)
    assert clf.embed(X).shape == (9, 4)

    clf.save(tmp_path / "classifier.skal")
    path.unlink()
    for copied in (CNNClassifier.load(tmp_path / "classifier.skal"), pickle.loads(pickle.dumps(clf))):
        np.testing.assert_array_equal(copied.predict_proba(X), probabilities)
    with pytest.raises(FileNotFoundError, match="which is not a file"):
        clone(clf).fit(X, y)

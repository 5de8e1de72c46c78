"""What every generator and encoder promises: one test a promise, over all of them."""

import copy
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from sklearn.utils.estimator_checks import parametrize_with_checks

from skal.access import as_torch
from skal.generators import ALI, GAN, VAE, AutoEncoder
from skal.nets import DenseAutoEncoder, DenseCritic, DenseGenerator, DenseVAE

from ..networks import DIGITS, TINY, X, generator_states, same_tensors, weights
from .estimators import FITTED, IMAGES, ON_IMAGES, fitted, outputs, rows_of, same_outputs

each = pytest.mark.parametrize("name", TINY)
each_on_images = pytest.mark.parametrize("name", ON_IMAGES)
each_fitted = pytest.mark.parametrize("name", FITTED)
each_kind = pytest.mark.parametrize("name", ["wgan_gp", "vae", "ali", "autoencoder"])

SCALE, SHIFT = np.array([7.0, 0.01, 300.0]), np.array([-2.0, 5.0, 1e4])


@parametrize_with_checks(
    [
        GAN(n_iter=2, n_critic=1),
        GAN("dcgan", n_iter=2, n_critic=1),
        GAN("wgan_ct", n_iter=2, n_critic=1, n_latent=2, batch_size=16),
        VAE(max_epochs=2),
        ALI(n_iter=2),
        AutoEncoder(max_epochs=2),
    ]
)
def test_scikit_learn_checks(estimator, check):
    check(estimator)


# Shapes, scales and numbers


@pytest.mark.parametrize(
    ("name", "prefix", "n_features", "n_latent"),
    [
        ("wgan_gp", "gan", 4, 2),
        ("wgan_ct", "gan", 4, 2),
        ("dcgan", "gan", 4, 2),
        ("vae", "vae", 2, 2),
        ("ali", "ali", 2, 2),
        ("autoencoder", "autoencoder", 3, 3),
    ],
)
def test_shapes_of_rows(name, prefix, n_features, n_latent):
    estimator = fitted(name)
    assert estimator.transform(X).shape == (60, n_features)
    assert estimator.get_feature_names_out().tolist() == [f"{prefix}{i}" for i in range(n_features)]
    assert estimator.decode(np.zeros((4, n_latent))).shape == (4, 3)
    assert (estimator.n_features_in_, estimator.input_shape_, estimator.n_latent_) == (3, (3,), n_latent)
    assert hasattr(estimator, "sample") == (name != "autoencoder")
    if hasattr(estimator, "sample"):
        assert estimator.sample(5).shape == (5, 3)
        assert estimator.sample().shape == (1, 3)
        assert estimator.sample_latents(4).shape == (4, n_latent)
    if hasattr(estimator, "inverse_transform"):
        codes = estimator.transform(X)
        np.testing.assert_array_equal(estimator.inverse_transform(codes), estimator.decode(codes))


@each_on_images
def test_every_layout_of_the_same_images_gives_the_same_answer(name):
    make, first, flat = ON_IMAGES[name], fitted(f"{name} on images"), IMAGES.reshape(40, 64)
    latents = np.random.default_rng(0).normal(size=(3, first.n_latent_))
    expected = outputs(first, IMAGES)
    for estimator, rows in (
        (make(), IMAGES[:, 0]),
        (make(image_shape=(1, 8, 8)), flat),
        (make(image_shape=[8, 8]), flat),
    ):
        estimator.fit(rows)
        assert (estimator.input_shape_, estimator.n_features_in_) == ((1, 8, 8), 64)
        assert same_tensors(weights(estimator), weights(first))
        decoded = estimator.decode(latents)
        assert decoded.shape == (3, *rows.shape[1:])
        np.testing.assert_array_equal(decoded.reshape(3, 1, 8, 8), first.decode(latents))
        for layout in (IMAGES, IMAGES[:, 0], flat):
            answers = outputs(estimator, layout)
            for method in answers.keys() & {"transform", "score_samples", "score"}:
                np.testing.assert_array_equal(answers[method], expected[method])


@each_on_images
def test_colour_images(name):
    colour = np.random.default_rng(0).random((12, 3, 9, 10), dtype=np.float32)
    estimator = ON_IMAGES[name]().fit(colour)
    assert estimator.input_shape_ == (3, 9, 10)
    assert estimator.decode(np.zeros((2, estimator.n_latent_))).shape == (2, 3, 9, 10)


@each
def test_another_scale_of_the_data_is_another_scale_of_the_rows(name):
    one, moved = fitted(name), SCALE * X + SHIFT
    other = TINY[name]().fit(moved)
    latents = np.random.default_rng(0).normal(size=(20, one.n_latent_))
    np.testing.assert_allclose(other.decode(latents), SCALE * one.decode(latents) + SHIFT, rtol=1e-7)
    np.testing.assert_allclose(other.transform(moved), one.transform(X), rtol=1e-6, atol=1e-8)
    for term, losses in one.history_.items():
        np.testing.assert_allclose(other.history_[term], losses, rtol=1e-6)
    if hasattr(one, "score_samples"):
        np.testing.assert_allclose(other.score_samples(moved), one.score_samples(X), rtol=1e-6)


@each_on_images
def test_another_scale_of_images_is_another_scale_of_the_rows(name):
    images = DIGITS[:20]
    one, other = ON_IMAGES[name]().fit(images), ON_IMAGES[name]().fit(1000 * images - 7)
    latents = np.random.default_rng(0).normal(size=(5, one.n_latent_))
    np.testing.assert_allclose(other.decode(latents), 1000 * one.decode(latents) - 7, rtol=1e-7)
    if name == "autoencoder":
        assert other.score(1000 * images - 7) == pytest.approx(1e6 * one.score(images))


@each_on_images
def test_bytes_count_from_0_to_255(name):
    images = (DIGITS[:20] * 5 + 30).astype(np.uint8)  # 30 to 110
    estimator = ON_IMAGES[name]().fit(images)
    assert estimator.dtype_ == torch.float32
    pixels = torch.tensor(images / 255, dtype=torch.float32)
    zeros = torch.zeros(1, estimator.n_latent_)
    with torch.no_grad():
        if name == "gan":
            features, decoded = estimator.critic_.embed(pixels), estimator.generator_(zeros)
        else:
            features, decoded = estimator.module_.encode(pixels), estimator.module_.decode(zeros)
    features = features[0] if name in ("vae", "ali") else features.flatten(1)
    np.testing.assert_allclose(estimator.decode(zeros.numpy()), 255 * decoded.numpy(), rtol=1e-6)
    np.testing.assert_allclose(estimator.transform(images), features.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_array_equal(estimator.transform(images), estimator.transform(images.astype(np.float32)))


@each_kind
@pytest.mark.parametrize(
    ("dtype", "given", "network"),
    [
        ("auto", np.float64, torch.float64),
        ("auto", np.float32, torch.float32),
        ("auto", np.int16, torch.float32),
        ("auto", ">f8", torch.float64),
        ("float32", np.float64, torch.float32),
        ("float64", np.float32, torch.float64),
    ],
)
def test_numbers_of_the_network(name, dtype, given, network):
    estimator = TINY[name](dtype=dtype).fit(X.astype(given))
    assert estimator.dtype_ == network
    assert {w.dtype for module in estimator.net_.modules for w in module.parameters()} == {network}
    answers = outputs(estimator, X.astype(given))
    del answers["transform"], answers["score" if "score" in answers else "decode"]
    expected = np.float32 if network == torch.float32 else np.float64
    assert estimator.transform(X).dtype == expected
    assert {answer.dtype for answer in answers.values()} == {np.dtype(expected)}


# The views that torch sees


def check_view(module, compute, x):
    """Values of a module are those of a method, and its gradient is that of their differences."""
    leaf = torch.tensor(x, requires_grad=True)
    values = module(leaf)
    np.testing.assert_array_equal(values.detach().numpy(), compute(x))
    direction = torch.randn(values.shape, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    (gradient,) = torch.autograd.grad((values * direction).sum(), leaf)
    expected = np.empty(x.shape)
    for place in np.ndindex(*x.shape):
        step = np.zeros(x.shape)
        step[place] = 1e-6 * max(1, abs(x).max())
        difference = compute(x + step) - compute(x - step)
        expected[place] = (difference * direction.numpy()).sum() / (2 * step[place])
    np.testing.assert_allclose(gradient, expected, rtol=1e-5, atol=1e-6 * abs(expected).max())
    assert (gradient != 0).any()
    assert not module.training
    assert not any(weight.requires_grad for weight in module.parameters())


@each_fitted
def test_torch_views(name):
    estimator = fitted(name) if name in TINY else ON_IMAGES[name.split()[0]]().fit(DIGITS[:20])  # in float64
    rows = X[:4] if name in TINY else DIGITS[:2] + 0.1
    check_view(as_torch(estimator), estimator.transform, rows)
    latents = estimator.sample_latents(4) if hasattr(estimator, "sample") else estimator.transform(rows)
    check_view(estimator.torch_decoder(), estimator.decode, latents)


@each_fitted
def test_torch_views_are_copies(name):
    estimator, rows = fitted(name), rows_of(name)
    before = outputs(estimator, rows)
    for module in (estimator.torch_decoder(), as_torch(estimator)):
        assert list(module.parameters())
        with torch.no_grad():
            for tensor in (*module.parameters(), *module.buffers()):
                tensor.add_(1)
    same_outputs(outputs(estimator, rows), before)
    assert all(weight.requires_grad for module in estimator.net_.modules for weight in module.parameters())


# Determinism, and what nothing changes


@each
def test_random_state_decides_everything(name):
    states, one = generator_states(), fitted(name)
    same, other = TINY[name]().fit(X), TINY[name](random_state=1).fit(X)
    same_outputs(outputs(one, X), outputs(same, X))
    one.torch_decoder()
    assert generator_states() == states
    assert same_tensors(weights(one), weights(same))
    differing = {key for key, tensor in weights(one).items() if not torch.equal(tensor, weights(other)[key])}
    first = dict.fromkeys(["vae", "ali", "autoencoder"], "module/encoder.1.weight")
    assert first.get(name, "generator/layers.0.weight") in differing
    assert ("critic/head.weight" in differing) == hasattr(one, "critic_")
    if hasattr(one, "sample"):
        np.testing.assert_array_equal(one.sample(3), one.sample(3))
        assert not np.array_equal(one.sample(3), one.sample(3, random_state=7))
        np.testing.assert_array_equal(one.sample(3, random_state=7), one.decode(one.sample_latents(3, 7)))
        assert not np.array_equal(one.sample(3, random_state=7), other.sample(3, random_state=7))


@each_kind
def test_without_random_state_every_fit_is_different(name):
    one, other = (TINY[name](random_state=None).fit(X) for _ in range(2))
    assert not same_tensors(weights(one), weights(other))
    one, other = (TINY[name](random_state=np.random.RandomState(0)).fit(X) for _ in range(2))
    assert same_tensors(weights(one), weights(other))


@pytest.mark.parametrize("name", ["wgan_gp", "vae", "ali"])
@pytest.mark.parametrize("random_state", [None, np.random.RandomState(0)])
def test_without_an_integer_every_sample_is_different(name, random_state):
    generator = copy.copy(fitted(name)).set_params(random_state=random_state)
    assert not np.array_equal(generator.sample(3), generator.sample(3))


@each_fitted
def test_data_are_not_changed(name):
    rows = rows_of(name).copy()
    make = TINY[name] if name in TINY else ON_IMAGES[name.split()[0]]
    outputs(make().fit(rows), rows)
    np.testing.assert_array_equal(rows, rows_of(name))


@each_fitted
def test_threads_do_not_disturb_each_other(name):
    """Eight of them ask one estimator at once; none leaves anything in its networks."""
    estimator, rows = fitted(name), rows_of(name)
    expected, start = outputs(estimator, rows), threading.Barrier(8)
    before = {key: tensor.clone() for key, tensor in weights(estimator).items()}

    def ask(_):
        start.wait()
        return [outputs(estimator, rows) for _ in range(5)]

    with ThreadPoolExecutor(8) as pool:
        for answers in pool.map(ask, range(8)):
            for answer in answers:
                same_outputs(answer, expected)
    assert same_tensors(weights(estimator), before)
    assert not any(part.training for module in estimator.net_.modules for part in module.modules())


@each_fitted
def test_networks_in_training_mode_predict_in_evaluation_mode(name):
    """Who trains a network on may ask the estimator meanwhile, and finds the mode as it was."""
    estimator, rows = copy.deepcopy(fitted(name)), rows_of(name)
    for module in estimator.net_.modules:
        module.train()
    same_outputs(outputs(estimator, rows), outputs(fitted(name), rows))
    assert same_tensors(weights(estimator), weights(fitted(name)))
    assert all(part.training for module in estimator.net_.modules for part in module.modules())


@each_kind
def test_mixed_precision_on_the_cpu(name):
    mixed, exact = TINY[name](amp=True).fit(X), TINY[name](dtype="float32").fit(X)
    assert mixed.dtype_ == torch.float32
    latents = np.random.default_rng(0).normal(size=(20, mixed.n_latent_))
    for ask, atol in (
        (lambda estimator: estimator.decode(latents), 0.1 * X.std(0).max()),
        (lambda estimator: estimator.transform(X), 0.1),
    ):
        assert ask(mixed).dtype == np.float32
        np.testing.assert_allclose(ask(mixed), ask(exact), rtol=0.1, atol=atol)
        assert not np.array_equal(ask(mixed), ask(exact))


# Bad input


@each_kind
@pytest.mark.parametrize(
    ("params", "rows", "message"),
    [
        ({}, X[:1], "1 sample"),
        ({}, np.where(X > 8, np.nan, X), "NaN"),
        ({}, np.where(X > 8, np.inf, X), "infinity"),
        ({"image_shape": (1, 2, 2)}, X, r"image_shape=\(1, 2, 2\) holds 4 numbers"),
        ({"image_shape": (3, 0)}, X, "positive integers"),
        ({"architecture": "mist"}, X, "architecture"),
        ({"batch_size": 1}, X, "batch_size"),
        ({"lr": 0.0}, X, "lr"),
        ({"checkpoint_every": 0}, X, "checkpoint_every"),
        ({"amp": True, "dtype": "float64"}, X, "bfloat16"),
        ({"device": "cuda:99"}, X, 'use "auto" or "cpu"'),
        ({"device": "toaster"}, X, "not a device of torch"),
        ({"device": "vulkan"}, X, 'is not there; use "auto" or "cpu"'),
    ],
)
def test_bad_input_is_refused_before_any_network_is_built(name, params, rows, message, monkeypatch):
    monkeypatch.setattr("skal.generators.scaled_net.ScaledNet.initialize_module", None)
    with pytest.raises(ValueError, match=message):
        TINY[name](**params).fit(rows)


@pytest.mark.parametrize(
    ("name", "architecture", "given"),
    [
        ("wgan_gp", (DenseGenerator((3,)), DenseCritic), "DenseGenerator"),
        ("wgan_gp", (DenseGenerator, DenseCritic((3,))), "DenseCritic"),
        ("vae", DenseVAE((3,)), "DenseVAE"),
        ("ali", DenseVAE((3,)), "DenseVAE"),
        ("autoencoder", DenseAutoEncoder((3,)), "DenseAutoEncoder"),
    ],
)
def test_networks_are_given_as_classes(name, architecture, given):
    with pytest.raises(TypeError, match=f"is an instance of {given}"):
        TINY[name](architecture=architecture).fit(X)


@each
def test_bad_latents(name):
    estimator = fitted(name)
    n_latent = estimator.n_latent_
    for method in {"decode", "inverse_transform"} & set(dir(estimator)):
        with pytest.raises(ValueError, match=rf"Z has 7 columns.*\(n_samples, {n_latent}\)"):
            getattr(estimator, method)(np.zeros((4, 7)))
        with pytest.raises(ValueError, match="NaN"):
            getattr(estimator, method)(np.full((1, n_latent), np.nan))


@pytest.mark.parametrize("name", ["wgan_gp", "vae", "ali"])
@pytest.mark.parametrize("n_samples", [0, -1, 2.5, "3", None, True])
def test_number_of_samples(name, n_samples):
    generator = fitted(name)
    for draw in (generator.sample, generator.sample_latents):
        with pytest.raises(ValueError, match=r"n_samples=.* integer of at least 1"):
            draw(n_samples)
    assert generator.sample(np.int64(2)).shape == (2, 3)


@each_on_images
def test_rows_of_another_shape(name):
    estimator = fitted(f"{name} on images")
    with pytest.raises(ValueError, match="reshape X"):
        estimator.transform(np.zeros((2, 1, 4, 16)))
    with pytest.raises(ValueError, match="features"):
        estimator.transform(np.zeros((2, 63)))


@each
def test_divergence_names_loss_step_and_remedy(name):
    lr, wgan = (1e300, True) if name in ("wgan_gp", "wgan_ct", "dcgan") else (1e40, False)
    length = {"n_iter": 3} if wgan or name == "ali" else {"batch_size": 8}
    estimator = TINY[name](optimizer=torch.optim.SGD, lr=lr, **length)
    with pytest.raises(
        ValueError,
        match=r"train (\w+_)?loss became (nan|-?inf) in epoch 1, at step \d: .*smaller lr .*1e\+\d+",
    ):
        estimator.fit(X)
    assert not hasattr(estimator, "net_")


@each
def test_data_that_no_number_can_scale(name):
    with pytest.raises(ValueError, match="scale X"):
        TINY[name]().fit(X * 1e200)

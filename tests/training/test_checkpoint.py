import functools
import time

import numpy as np
import pytest
import torch
from skorch.callbacks import Callback, EarlyStopping, LRScheduler

from skal.exceptions import ModelFileError
from skal.generators import GAN, stepped_net
from skal.nets import ConvCritic, ConvGenerator
from skal.training import checkpoint as checkpoint_module
from skal.training.files import read_file
from tests.processes import FRESH

from ..networks import (
    DIGITS,
    TINY,
    X,
    same_history,
    same_tensors,
    tiny_ali,
    tiny_autoencoder,
    tiny_gan,
    tiny_vae,
    weights,
)

IMAGES = DIGITS[:20].astype(np.float32)


class Crash(Callback):
    """Ends the process of training at a step, as far as one can from inside."""

    def __init__(self, step):
        self.step = step

    def on_batch_end(self, net, training=None, **_):
        self.step -= training
        if self.step == 0:
            raise MemoryError("crashed")


@pytest.fixture(autouse=True)
def _short_records(monkeypatch):
    monkeypatch.setattr(stepped_net, "RECORD_STEPS", 3)


def residual_gan(**params):
    """Convolutions, which lie channels-last, batch normalisation and a falling learning rate."""
    narrow = {"generator_params": {"n_filters": 2}, "critic_params": {"n_filters": 2}}
    return GAN(architecture="residual", n_latent=2, batch_size=4, random_state=0, **narrow, **params)


def dcgan(**params):
    """With batch normalisation in both networks."""
    narrow = {"generator_params": {"channels": (4, 2)}, "critic_params": {"channels": (2, 4)}}
    networks = {"architecture": (BatchNormGenerator, ConvCritic), **narrow}
    return GAN("dcgan", n_latent=2, batch_size=4, random_state=0, **networks, **params)


class BatchNormGenerator(ConvGenerator):
    def __init__(self, input_shape, n_latent, channels):
        super().__init__(input_shape, n_latent, channels, batch_norm=True)


# What is trained, on which rows, and the step at which it crashes.
TRAININGS = {
    "wgan_gp": (functools.partial(TINY["wgan_gp"], n_iter=11), X, 8),
    "wgan_ct": (functools.partial(TINY["wgan_ct"], n_iter=11), X, 8),
    "dcgan": (functools.partial(dcgan, n_iter=11), IMAGES, 8),
    "residual": (functools.partial(residual_gan, n_iter=7), IMAGES, 5),
    "sgd": (
        functools.partial(tiny_gan, n_iter=11, optimizer=torch.optim.SGD, optimizer_params={"momentum": 0.5}),
        X,
        8,
    ),
    "vae": (functools.partial(tiny_vae, max_epochs=8, batch_size=16, lr=0.1, patience=6), X, 18),
    "conv_vae": (
        functools.partial(
            tiny_vae, architecture="conv", module_params={"n_filters": 2}, max_epochs=4, batch_size=8
        ),
        IMAGES,
        8,
    ),
    "ali": (functools.partial(tiny_ali, n_iter=11), X, 8),
    "conv_ali": (
        functools.partial(
            tiny_ali,
            architecture="conv",
            module_params={"n_filters": 2},
            critic_params={"channels": (2, 4)},
            n_iter=7,
            batch_size=4,
        ),
        IMAGES,
        5,
    ),
    "autoencoder": (functools.partial(tiny_autoencoder, max_epochs=6, batch_size=16), X, 14),
}
each_training = pytest.mark.parametrize("name", TRAININGS)


@functools.cache
def trained(name):
    """Return the result of an uninterrupted training; tests must not change it."""
    make, rows, _ = TRAININGS[name]
    return make().fit(rows)


def optimizer_state(estimator):
    """States and settings of all optimizers, flat."""
    net = estimator.net_
    state = {}
    for name in net._optimizers:
        content = getattr(net, f"{name}_").state_dict()
        state |= {
            (name, number, key): torch.as_tensor(value)
            for number, values in content["state"].items()
            for key, value in values.items()
        }
        state |= {
            (name, number, key): torch.tensor(
                [np.inf if value is None else value], dtype=torch.float64
            ).flatten()
            for number, group in enumerate(content["param_groups"])
            for key, value in group.items()
        }
    return state


def same_training(a, b):
    return same_tensors(weights(a), weights(b)) and same_tensors(optimizer_state(a), optimizer_state(b))


def crash(make, rows, step, path, **params):
    with pytest.raises(MemoryError, match="crashed"):
        make(checkpoint=path, checkpoint_every=3, callbacks=[Crash(step)], **params).fit(rows)


@each_training
def test_resumed_training_has_the_result_of_an_uninterrupted_one(name, tmp_path):
    make, rows, step = TRAININGS[name]
    crash(make, rows, step, tmp_path / "checkpoint")
    done = read_file(tmp_path / "checkpoint")[1]["history"]
    resumed = make(checkpoint=tmp_path / "checkpoint", checkpoint_every=3).fit(rows)
    whole = trained(name)
    assert 0 < len(done) < len(whole.net_.history)
    assert same_training(resumed, whole)
    assert same_history(resumed, whole)
    assert len(optimizer_state(whole)) > 4


@each_training
def test_writing_checkpoints_changes_nothing(name, tmp_path):
    make, rows, _ = TRAININGS[name]
    written = make(checkpoint=tmp_path / "checkpoint", checkpoint_every=1).fit(rows)
    assert same_training(written, trained(name))
    assert same_history(written, trained(name))


@each_training
def test_a_finished_checkpoint_trains_nothing(name, tmp_path, monkeypatch):
    make, rows, _ = TRAININGS[name]
    whole = make(checkpoint=tmp_path / "checkpoint").fit(rows)
    before = (tmp_path / "checkpoint").read_bytes()
    monkeypatch.setattr(type(whole.net_), "train_step", None)
    again = make(checkpoint=str(tmp_path / "checkpoint")).fit(rows)
    assert same_tensors(weights(again), weights(whole))
    assert same_history(again, whole)
    np.testing.assert_array_equal(again.transform(rows), whole.transform(rows))
    assert (tmp_path / "checkpoint").read_bytes() == before


def test_two_crashes(tmp_path):
    make, rows, _ = TRAININGS["wgan_ct"]
    crash(make, rows, 5, tmp_path / "checkpoint")
    crash(make, rows, 5, tmp_path / "checkpoint")  # its eighth step
    assert read_file(tmp_path / "checkpoint")[1]["history"][-1]["step"] == 6
    assert same_training(make(checkpoint=tmp_path / "checkpoint").fit(rows), trained("wgan_ct"))


def test_early_stopping_goes_on_with_its_books(tmp_path):
    """The crash falls between the best epoch and the one that stops the training."""
    make = functools.partial(tiny_vae, max_epochs=50, patience=4, lr=0.3, batch_size=8)
    whole = make().fit(X)
    losses = whole.history_["valid_loss"]
    best = int(losses.argmin())
    assert len(losses) == best + 5
    crash(make, X, 7 * (best + 3) + 1, tmp_path / "checkpoint")
    books = read_file(tmp_path / "checkpoint")[1]["books"]
    assert (books["misses_"], books["best_epoch_"]) == (2, best + 1)
    resumed = make(checkpoint=tmp_path / "checkpoint").fit(X)
    assert same_tensors(weights(resumed), weights(whole))
    assert same_history(resumed, whole)


def test_what_stopped_early_stays_stopped(tmp_path, monkeypatch):
    make = functools.partial(tiny_vae, patience=4, lr=0.3, batch_size=8, checkpoint=tmp_path / "checkpoint")
    whole = make(max_epochs=50).fit(X)
    assert len(whole.history_["loss"]) < 50
    monkeypatch.setattr(type(whole.net_), "train_step", None)
    again = make(max_epochs=100).fit(X)
    assert same_tensors(weights(again), weights(whole))
    assert same_history(again, whole)


@pytest.mark.parametrize(
    ("make", "shorter", "longer"),
    [
        (tiny_gan, {"n_iter": 6}, {"n_iter": 10}),
        (tiny_gan, {"n_iter": 5}, {"n_iter": 10}),  # in the middle of a record
        (tiny_vae, {"max_epochs": 3, "lr": 0.1}, {"max_epochs": 5, "lr": 0.1}),
        (tiny_autoencoder, {"max_epochs": 2}, {"max_epochs": 4}),
    ],
)
def test_more_steps_go_on(make, shorter, longer, tmp_path):
    make(**shorter, checkpoint=tmp_path / "checkpoint").fit(X)
    resumed, whole = make(**longer, checkpoint=tmp_path / "checkpoint").fit(X), make(**longer).fit(X)
    assert same_training(resumed, whole)
    assert resumed.history_["step"][-1] == whole.history_["step"][-1]


@pytest.mark.parametrize(
    ("policy", "params"),
    [
        ("ExponentialLR", {"gamma": 0.5}),
        ("LambdaLR", {"lr_lambda": lambda epoch: 0.5**epoch}),
        ("CosineAnnealingLR", {"T_max": 5}),
    ],
)
def test_schedules_that_follow_the_number_of_the_epoch_go_on(policy, params, tmp_path):
    def train(n_epochs, **checkpoint):
        schedule = LRScheduler(policy, **params)
        return tiny_autoencoder(max_epochs=n_epochs, callbacks=[schedule], **checkpoint).fit(X)

    train(3, checkpoint=tmp_path / "checkpoint")
    assert same_tensors(weights(train(5, checkpoint=tmp_path / "checkpoint")), weights(train(5)))


@pytest.mark.parametrize(
    ("make", "longer", "shorter"),
    [(tiny_gan, {"n_iter": 5}, {"n_iter": 4}), (tiny_vae, {"max_epochs": 2}, {"max_epochs": 1})],
)
def test_fewer_steps_are_refused(make, longer, shorter, tmp_path):
    make(**longer, checkpoint=tmp_path / "checkpoint").fit(X)
    with pytest.raises(ValueError, match="more than are asked for; raise n_iter or max_epochs"):
        make(**shorter, checkpoint=tmp_path / "checkpoint").fit(X)


def test_checkpoints_are_due_after_so_many_steps(tmp_path, monkeypatch):
    steps = []
    write = checkpoint_module.write_file

    def recorded(path, tensors, content):
        steps.append(content["history"][-1]["step"])
        write(path, tensors, content)

    monkeypatch.setattr(checkpoint_module, "write_file", recorded)
    tiny_gan(n_iter=16, checkpoint=tmp_path / "gan", checkpoint_every=5).fit(X)
    assert steps == [6, 12, 16]  # records have three steps here
    steps.clear()
    tiny_autoencoder(max_epochs=5, batch_size=30, checkpoint=tmp_path / "encoder", checkpoint_every=4).fit(X)
    assert steps == [4, 8, 10]


def test_a_kill(tmp_path):
    path = tmp_path / "checkpoint"
    script = (
        "from tests.networks import X, tiny_gan\n"
        f"tiny_gan('wgan_ct', n_iter=10**6, n_critic=1, checkpoint={str(path)!r}, checkpoint_every=1).fit(X)"
    )
    process = FRESH.Process(target=exec, args=(script, {}))
    process.start()
    try:
        while not path.exists() and process.is_alive():
            time.sleep(0.01)
        assert process.is_alive()
    finally:
        process.kill()
        process.join()
    done = read_file(path)[1]["history"][-1]["step"]
    assert 100 <= done < 10**6
    settings = {"n_iter": done + 20, "n_critic": 1}
    assert same_training(
        tiny_gan("wgan_ct", checkpoint=path, checkpoint_every=1, **settings).fit(X),
        tiny_gan("wgan_ct", **settings).fit(X),
    )


# Whose checkpoint it is


@pytest.mark.parametrize(
    ("rows", "params", "names"),
    [
        (X + 1, {}, "X"),
        (X[:59], {}, "X"),
        (X[::-1], {}, "X"),
        (X, {"lr": 1e-3}, "lr"),
        (X, {"random_state": 1}, "random_state"),
        (X, {"loss": "wgan_ct"}, "loss"),
        (X, {"critic_params": {"hidden": (5,)}}, "critic_params"),
        (X, {"batch_size": 17, "optimizer": torch.optim.SGD}, "batch_size, optimizer"),
        (X, {"dtype": "float32"}, "dtype"),
    ],
)
def test_another_training_is_refused(rows, params, names, tmp_path):
    path = tmp_path / "checkpoint"
    tiny_gan(checkpoint=path).fit(X)
    before = path.read_bytes()
    with pytest.raises(ValueError, match=rf"belongs to another training: {names} differ; delete the file"):
        tiny_gan(checkpoint=path, **params).fit(rows)
    assert path.read_bytes() == before


def test_another_estimator_is_refused(tmp_path):
    tiny_vae(checkpoint=tmp_path / "checkpoint").fit(X)
    with pytest.raises(ValueError, match="belongs to another training: estimator"):
        tiny_autoencoder(checkpoint=tmp_path / "checkpoint").fit(X)


def test_what_changes_no_step_may_be_changed(tmp_path):
    tiny_gan(checkpoint=tmp_path / "checkpoint", n_iter=3).fit(X)
    (tmp_path / "checkpoint").rename(tmp_path / "moved")
    again = tiny_gan(
        checkpoint=tmp_path / "moved",
        checkpoint_every=7,
        callbacks=[EarlyStopping("critic_loss")],
        device=torch.device("cpu"),
        n_iter=3,
    )
    assert again.fit(X.copy()).history_["step"].tolist() == [3]


@pytest.mark.parametrize("seed", [0, 5])
def test_without_random_state_the_checkpoint_decides(seed, tmp_path):
    tiny_gan(checkpoint=tmp_path / "checkpoint", n_iter=3, random_state=seed).fit(X)
    resumed = tiny_gan(checkpoint=tmp_path / "checkpoint", n_iter=6, random_state=None).fit(X)
    assert same_training(resumed, tiny_gan(n_iter=6, random_state=seed).fit(X))
    fresh = tiny_gan(checkpoint=tmp_path / "fresh", n_iter=3, random_state=None).fit(X)
    again = tiny_gan(checkpoint=tmp_path / "fresh", n_iter=3, random_state=None).fit(X)
    assert same_tensors(weights(fresh), weights(again))


def test_parameters_without_a_name(tmp_path):
    """A partial function has none; two classes of the same package have different ones."""
    sgd = functools.partial(torch.optim.SGD, momentum=0.5)
    make = functools.partial(tiny_gan, checkpoint=tmp_path / "checkpoint", n_iter=4)
    whole = make(optimizer=sgd).fit(X)
    assert same_tensors(weights(make(optimizer=sgd).fit(X)), weights(whole))
    with pytest.raises(ValueError, match="optimizer differ"):
        make(optimizer=torch.optim.Adam).fit(X)


def test_a_damaged_checkpoint(tmp_path):
    path = tmp_path / "checkpoint"
    tiny_gan(checkpoint=path).fit(X)
    whole = path.read_bytes()
    flipped = bytearray(whole)
    flipped[len(whole) // 2] ^= 4
    for data in (b"", whole[:100], whole[:-1], bytes(flipped), whole + b"\0"):
        path.write_bytes(data)
        with pytest.raises(ModelFileError):
            tiny_gan(checkpoint=path).fit(X)
        assert path.read_bytes() == data


def test_a_saved_estimator_is_no_checkpoint(tmp_path):
    tiny_gan().fit(X).save(tmp_path / "gan")
    with pytest.raises(ValueError, match="belongs to another training"):
        tiny_gan(checkpoint=tmp_path / "gan").fit(X)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="make it first"):
        tiny_gan(checkpoint=tmp_path / "missing" / "checkpoint").fit(X)

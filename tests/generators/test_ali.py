import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from skorch.callbacks import Callback
from torch import nn

from skal import ActiveLearner
from skal.generators import ALI, stepped_net
from skal.generators.ali_net import ALINet, PairCritic
from skal.nets import VAES, ConvCritic, ConvVAE, DenseCritic, DenseVAE
from skal.strategies import ADBA, DGAL, GAAL, SEALS

from ..networks import X, same_tensors, tiny_ali, weights
from .estimators import IMAGES, fitted, image_ali

DIGITS, LABELS = load_digits(return_X_y=True)


# The losses by hand


class LinearCoder(nn.Module):
    """Encodes two numbers as one, with a variance that does not depend on the row, and decodes it by a line."""

    n_latent = 1

    def __init__(self):
        super().__init__()
        self.code = nn.Parameter(torch.tensor([[0.5], [-1.0]]))
        self.log_variance = nn.Parameter(torch.tensor([0.3]))
        self.line = nn.Parameter(torch.tensor([[1.5, 0.25]]))

    def encode(self, x):
        return x @ self.code, self.log_variance.expand(len(x), 1)

    def decode(self, z):
        return z @ self.line


class Raw(nn.Module):
    """Features that are the row itself."""

    def embed(self, x):
        return x


def linear_net(**params):
    defaults = {
        "critic": Raw,
        "penalty": 0.0,
        "cycle": 0.0,
        "n_iter": 1,
        "output_range": None,
        "optimizer": torch.optim.SGD,
        "lr": 0.1,
        "rates": {"critic": 0.2},
        "batch_size": 4,
        "input_shape": (2,),
        "dtype": torch.float64,
        "amp": False,
        "seed": 0,
        "device": "cpu",
    }
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return ALINet(LinearCoder, **{**defaults, **params}).initialize()


def losses_by_hand(tensors, rows, noise, latents, penalty, cycle):
    """Equation by equation in numpy: the loss of encoder and generator, and that of the critic."""

    def dense(part, x, jacobian):
        for number in (1, 4):
            weight = tensors[f"critic/{part}.{number}.weight"]
            x = x @ weight.T + tensors[f"critic/{part}.{number}.bias"]
            slopes = np.where(x > 0, 1, 0.2)
            x, jacobian = slopes * x, slopes[..., None] * (weight @ jacobian)
        return x, jacobian

    def critic(x, z):
        """D(x, z), the probability that z is the code of x, and the squared norm of its score's gradient."""
        axes = np.repeat(np.eye(3)[None], len(x), axis=0)
        features, jacobian = dense("latents", z, axes[:, 2:])
        hidden, jacobian = dense("pairs", np.c_[x, features], np.concatenate([axes[:, :2], jacobian], 1))
        score = hidden @ tensors["critic/head.weight"].T + tensors["critic/head.bias"]
        slope = ((tensors["critic/head.weight"] @ jacobian) ** 2).sum(axis=(1, 2))
        return 1 / (1 + np.exp(-score[:, 0])), slope

    codes = rows @ tensors["module/code"] + np.exp(tensors["module/log_variance"] / 2) * noise
    encoded, slope = critic(rows, codes)
    decoded, _ = critic(latents @ tensors["module/line"], latents)
    error = ((rows - codes @ tensors["module/line"]) ** 2).mean() / rows.var(axis=0, ddof=1).mean()
    return (
        -(np.log(1 - encoded).mean() + np.log(decoded).mean()) / 2 + cycle * error,
        -(np.log(encoded).mean() + np.log(1 - decoded).mean()) / 2 + penalty / 2 * slope.mean(),
    )


def draws(monkeypatch, *values):
    """Let the net draw the given values, one after the other."""
    left = [torch.tensor(value) for value in values]
    monkeypatch.setattr(torch, "randn_like", lambda _: left.pop(0))


@pytest.mark.parametrize(("penalty", "cycle"), [(0.0, 0.0), (3.0, 0.7)])
def test_losses_and_their_gradients_by_hand(penalty, cycle, monkeypatch):
    """Encoder and generator descend theirs, the critic its own, both from the weights before the step."""
    net = linear_net(penalty=penalty, cycle=cycle)
    rng = np.random.default_rng(0)
    rows, noise, latents = rng.normal(size=(6, 2)), rng.normal(size=(6, 1)), rng.normal(size=(6, 1))
    before = {name: tensor.numpy().copy() for name, tensor in net.state_dict().items()}
    draws(monkeypatch, noise, latents)
    losses = net.train_step(torch.tensor(rows))["losses"]
    expected = losses_by_hand(before, rows, noise, latents, penalty, cycle)
    assert losses["loss"].item() == pytest.approx(expected[0], rel=1e-10)
    assert losses["critic_loss"].item() == pytest.approx(expected[1], rel=1e-10)
    after = net.state_dict()
    for name, lr, own in (
        ("module/code", 0.1, 0),
        ("module/log_variance", 0.1, 0),
        ("module/line", 0.1, 0),
        ("critic/head.weight", 0.2, 1),
        ("critic/head.bias", 0.2, 1),
        ("critic/latents.1.bias", 0.2, 1),
    ):
        for place in list(np.ndindex(*before[name].shape))[:8]:
            values = []
            for step in (1e-6, -1e-6):
                moved = {**before, name: before[name].copy()}
                moved[name][place] += step
                values.append(losses_by_hand(moved, rows, noise, latents, penalty, cycle)[own])
            slope = (values[0] - values[1]) / 2e-6
            change = after[name].numpy()[place] - before[name][place]
            assert change == pytest.approx(-lr * slope, rel=1e-6, abs=1e-9), name


def test_where_both_joint_distributions_agree_the_critic_cannot_win():
    """Then its best answer is 1/2 everywhere, and both losses are log 2."""
    net = linear_net()
    with torch.no_grad():
        for weight in net.critic_.head.parameters():
            weight.zero_()
    for loss in net.losses(torch.zeros(5, 2, dtype=torch.float64)).values():
        assert loss.item() == pytest.approx(np.log(2))


def test_the_score_is_that_of_the_pair():
    critic = PairCritic(DenseCritic((3,), hidden=(4,)), 4, 2).double()
    rows, latents = torch.randn(5, 3, dtype=torch.float64), torch.randn(5, 2, dtype=torch.float64)
    scores = critic(rows, latents)
    assert scores.shape == (5,)
    torch.testing.assert_close(critic(rows[2:3], latents[2:3]), scores[2:3])
    assert not torch.isclose(critic(rows, latents.flip(0)), scores)[[0, 1, 3, 4]].any()
    assert not torch.isclose(critic(rows.flip(0), latents), scores)[[0, 1, 3, 4]].any()


# What is trained


def test_architecture_chosen_by_shape():
    for shape, name, critic in [
        ((5,), "dense", DenseCritic),
        ((1, 8, 8), "dense", DenseCritic),
        ((1, 28, 28), "conv", ConvCritic),
        ((3, 16, 40), "conv", ConvCritic),
    ]:
        net = ALI(4)._make_net(shape, dtype=torch.float32, amp=False, seed=0, device="cpu", n_iter=1)
        with torch.random.fork_rng():
            net.initialize()
        assert type(net.module_) is VAES[name]
        assert type(net.critic_.rows) is critic
    assert isinstance(tiny_ali(architecture=DenseVAE).fit(X).module_, DenseVAE)
    ali = fitted("ali on images")
    assert isinstance(ali.module_, ConvVAE)
    assert isinstance(ali.critic_, PairCritic)


def test_transform_is_the_mean_code():
    ali = fitted("ali")
    scaled = torch.tensor((X - X.mean(0)) / X.std(0))
    with torch.no_grad():
        means, _ = ali.module_.encode(scaled)
    np.testing.assert_allclose(ali.transform(X), means.numpy(), rtol=1e-10)


def test_settings_of_the_paper():
    def net(**params):
        return ALI(**params)._make_net((3,), dtype=torch.float32, amp=False, seed=0, device="cpu")

    made = net()
    assert made.optimizer__betas == (0.5, 0.999)
    assert made.rates == {"critic": made.lr}
    made = net(lr=0.3, optimizer_params={"eps": 1e-3})
    assert (made.lr, made.rates, made.optimizer__eps) == (0.3, {"critic": 0.3}, 1e-3)
    assert not hasattr(made, "optimizer__betas")


def test_history_has_records_of_steps(monkeypatch):
    monkeypatch.setattr(stepped_net, "RECORD_STEPS", 5)
    history = tiny_ali(n_iter=13).fit(X[:20]).history_
    assert history.keys() == {"loss", "critic_loss", "cycle", "gradient_penalty", "step"}
    assert history["step"].tolist() == [5, 10, 13]
    assert tiny_ali(n_iter=7).fit(X[:20]).n_iter_ == 7
    history = tiny_ali(penalty=0.0, cycle=0.0).fit(X).history_
    assert history.keys() == {"loss", "critic_loss", "step"}


def test_the_steps_follow_from_rows_and_columns():
    rows = np.broadcast_to(np.float32(0), (1797, 64))
    assert ALI()._length(rows) == {"n_iter": 1696}
    assert ALI(n_iter=7)._length(rows) == {"n_iter": 7}


def test_an_interrupt_keeps_what_was_learned(monkeypatch):
    monkeypatch.setattr(stepped_net, "RECORD_STEPS", 5)

    class Interrupt(Callback):
        steps = 0

        def on_batch_end(self, net, **_):
            self.steps += 1
            if self.steps == 8:
                raise KeyboardInterrupt

    ali = tiny_ali(n_iter=1000, callbacks=[Interrupt()]).fit(X[:20])
    assert ali.history_["step"].tolist() == [5]
    assert not ali.module_.training
    assert same_tensors(weights(ali), weights(tiny_ali(n_iter=8).fit(X[:20])))


def test_samples_lie_within_the_range_of_the_data():
    rows = 100 + IMAGES / 32  # 100 to 100.5
    samples = image_ali().fit(rows).sample(100)
    assert samples.min() >= 100
    assert samples.max() <= 100.5


def test_digits_are_learnt():
    training, rest = np.split(np.random.default_rng(0).permutation(1797), [1200])
    ali = ALI(8, n_iter=200, lr=3e-3, dtype="float32", random_state=0).fit(DIGITS[training])
    codes = ali.transform(DIGITS)
    classifier = LogisticRegression(max_iter=1000).fit(codes[training], LABELS[training])
    assert classifier.score(codes[rest], LABELS[rest]) > 0.75
    errors = (ali.inverse_transform(codes[rest]) - DIGITS[rest]) ** 2
    assert errors.mean() < 0.6 * DIGITS.var(axis=0).mean()  # which is the error of the mean image
    np.testing.assert_allclose(codes.std(axis=0), 1, atol=0.5)
    samples = ali.sample(1000)
    assert 0.7 < samples.var(axis=0).sum() / DIGITS.var(axis=0).sum() < 1.3


# Where it is used


def test_lines_are_shown_by_its_decoder():
    bits, labels = DIGITS[LABELS < 2], LABELS[LABELS < 2]
    ali = ALI(3, n_iter=20, random_state=0).fit(bits)
    codes, y = ali.transform(bits), np.where(np.arange(len(bits)) < 20, labels, -1)
    learner = ActiveLearner(LogisticRegression(), ADBA(FrozenEstimator(ali)), random_state=0).fit(codes, y)
    lines = learner.synthesize(2)
    shown = learner.strategy_.show(lines)
    assert shown.shape == (2, 11, 64)
    np.testing.assert_allclose(shown[1], ali.decode(lines[1]), rtol=1e-10)


@pytest.mark.parametrize(
    "strategy",
    [DGAL(tiny_ali(), n_neighbors=3), SEALS(tiny_ali()), GAAL(tiny_ali())],
    ids=["DGAL", "SEALS", "GAAL"],
)
def test_it_is_an_encoder_and_a_generator_of_strategies(strategy):
    labels = (X[:, 0] > 5).astype(int)
    y = np.where(np.arange(60) < 20, labels, -1)
    learner = ActiveLearner(LogisticRegression(), strategy, n_queries=3, random_state=0).fit(X, y)
    if isinstance(strategy, GAAL):
        assert learner.synthesize(3).shape == (3, 3)
    else:
        assert len(set(learner.query())) == 3


# Bad input, before any training


class Normalised(DenseCritic):
    """A critic that sees a row beside the others."""

    def __init__(self, input_shape):
        super().__init__(input_shape, hidden=(4,))
        self.features.append(nn.BatchNorm1d(4))


@pytest.mark.parametrize(
    ("params", "error", "message"),
    [
        ({"n_latent": 0}, ValueError, "n_latent"),
        ({"penalty": -1.0}, ValueError, "penalty"),
        ({"cycle": -1.0}, ValueError, "cycle"),
        ({"n_iter": 0}, ValueError, "n_iter"),
        ({"critic": "dense"}, ValueError, "critic"),
        ({"critic": DenseCritic((3,))}, TypeError, "is an instance of DenseCritic.*critic_params"),
        ({"critic": nn.Identity, "critic_params": None}, TypeError, "the critic Identity has no embed"),
        ({"architecture": "conv", "module_params": None}, ValueError, "image_shape"),
        ({"critic": ConvCritic, "critic_params": None}, ValueError, "image_shape"),
        (
            {"critic": Normalised, "critic_params": None},
            ValueError,
            "Normalised has batch normalisation.*penalty=0",
        ),
    ],
)
def test_bad_input(params, error, message, monkeypatch):
    monkeypatch.setattr(ALINet, "train_step", None)
    with pytest.raises(error, match=message):
        tiny_ali(**params).fit(X)

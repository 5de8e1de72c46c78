"""The hook for a loss of one's own, and the modules that are trained beside the network."""

import pickle
from typing import ClassVar

import numpy as np
import pytest
import torch
from sklearn.datasets import make_blobs
from skorch.callbacks import Callback
from torch import nn

from skal.classifiers import NetClassifier
from skal.nets import MLP

X, TRUTH = make_blobs(30, n_features=4, centers=3, random_state=0)
PARTIAL = np.where(np.arange(30) < 12, TRUTH, -1)


def make(base, **params):
    return base(
        **{"module_params": {"hidden": (5,)}, "lr": 0.01, "max_epochs": 2, "random_state": 0, **params}
    )


class Watching(NetClassifier):
    """Keeps what `losses` was given."""

    uses_unlabeled: ClassVar[bool] = True
    seen: ClassVar[list] = []

    def losses(self, net, labeled, unlabeled):
        self.seen.append((net.n_labeled, net.n_unlabeled, len(net.history), labeled, unlabeled))
        return {"loss": labeled.cross_entropy()}


@pytest.fixture(autouse=True)
def forget():
    Watching.seen.clear()


def test_what_the_losses_see():
    weight = np.linspace(1, 2, 30)
    make(Watching, batch_size=9).fit(X, PARTIAL, sample_weight=weight)
    assert [seen[:3] for seen in Watching.seen] == [(12, 18, epoch) for epoch in (1, 1, 2, 2)]
    for *_, labeled, unlabeled in Watching.seen:
        assert len(labeled) == len(unlabeled) == 9
        assert unlabeled.classes is None
        assert unlabeled.weight is None
        assert labeled.features is None
        for row, code, own in zip(labeled.rows.numpy(), labeled.classes, labeled.weight, strict=True):
            (place,) = np.flatnonzero((X[:12] == row).all(axis=1))
            assert (TRUTH[place], weight[place]) == (code, own)
        assert all((X[12:] == row).all(axis=1).any() for row in unlabeled.rows.numpy())
        assert labeled.logits.shape == unlabeled.logits.shape == (9, 3)
    Watching.seen.clear()
    make(Watching, max_epochs=1).fit(X, TRUTH)
    ((n_labeled, n_unlabeled, _, _, unlabeled),) = Watching.seen
    assert (n_labeled, n_unlabeled, unlabeled) == (30, 0, None)


def test_both_batches_are_one_pass():
    passes = []

    class Counted(MLP):
        def forward(self, x):
            passes.append(len(x))
            return super().forward(x)

    make(Watching, module=Counted, batch_size=9, max_epochs=1).fit(X, PARTIAL)
    assert passes == [18, 18]


class Terms(NetClassifier):
    terms: ClassVar[dict] = {"half": 0.5, "double": 2.0}

    def losses(self, net, labeled, unlabeled):
        assert unlabeled is None
        return {name: factor * labeled.cross_entropy() for name, factor in self.terms.items()}


def test_the_sum_of_the_terms_is_descended_or_the_one_of_the_name():
    class Named(Terms):
        terms: ClassVar[dict] = {"loss": 2.5, "aside": 100.0}

    by_sum, by_name = (make(kind, optimizer=torch.optim.SGD).fit(X, TRUTH) for kind in (Terms, Named))
    for own, expected in zip(by_sum.module_.parameters(), by_name.module_.parameters(), strict=True):
        torch.testing.assert_close(own, expected)
    row = by_sum.net_.history[0]
    assert row["train_loss"] == pytest.approx(row["train_half"] + row["train_double"])
    assert row["train_double"] == pytest.approx(4 * row["train_half"])
    assert by_name.net_.history[0, "train_aside"] == pytest.approx(40 * row["train_loss"])


class Beside(NetClassifier):
    """A critic with an optimizer, and a scale that the network's optimizer trains."""

    uses_features: ClassVar[bool] = True
    critic_lr: ClassVar[float] = 0.5

    def extra_modules(self, net):
        n_features = net.example_features().shape[1]
        return {"critic": (nn.Linear(n_features, 1), self.critic_lr), "scale": (nn.Linear(1, 1), None)}

    def losses(self, net, labeled, unlabeled):
        critic_loss = net.critic_(labeled.features).square().mean()
        scale = net.scale_.weight.sum() ** 2
        return {
            "cross_entropy": labeled.cross_entropy(),
            "play": scale - critic_loss,
            "critic_loss": critic_loss,
        }


def test_each_optimizer_changes_its_own_weights_by_its_own_loss():
    clf = make(Beside, optimizer=torch.optim.SGD, optimizer_params={"momentum": 0.3})
    net = clf._make_net((4,), np.arange(3), dtype=torch.float64, amp=False, seed=0, device="cpu")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net.initialize()
    assert net.critic_.weight.dtype == torch.float64
    assert net.critic_optimizer_.param_groups[0]["lr"] == 0.5
    assert (
        net.critic_optimizer_.param_groups[0]["momentum"] == net.optimizer_.param_groups[0]["momentum"] == 0.3
    )
    assert net.optimizer_.param_groups[0]["lr"] == 0.01
    rows, y = torch.from_numpy(X[:5]), torch.from_numpy(TRUTH[:5])
    modules = {name: getattr(net, f"{name}_") for name in ("module", "critic", "scale")}
    logits = net.module_(rows)
    critic_loss = net.critic_(net.module_.embed(rows)).square().mean()
    loss = nn.functional.cross_entropy(logits, y) + net.scale_.weight.sum() ** 2 - critic_loss
    expected = {}
    for name, module in modules.items():
        own = critic_loss if name == "critic" else loss
        weights = list(module.parameters())
        expected[name] = torch.autograd.grad(own, weights, allow_unused=True, retain_graph=True)
    before = {name: [p.detach().clone() for p in module.parameters()] for name, module in modules.items()}
    losses = net.train_step(((rows, None, None), y))["losses"]
    torch.testing.assert_close(losses["loss"], loss)
    for name, module in modules.items():
        rate = 0.5 if name == "critic" else 0.01
        for weight, old, gradient in zip(module.parameters(), before[name], expected[name], strict=True):
            torch.testing.assert_close(weight, old if gradient is None else old - rate * gradient)


def test_modules_beside_the_network_are_saved_and_continued(tmp_path):
    clf = make(Beside).fit(X, TRUTH)
    assert {name.split("/")[0] for name in clf.net_.state_dict()} == {"module", "critic", "scale"}
    clf.save(tmp_path / "clf.skal")
    loaded = Beside.load(tmp_path / "clf.skal")
    for own, expected in zip(loaded.net_.critic_.parameters(), clf.net_.critic_.parameters(), strict=True):
        assert torch.equal(own, expected)
    assert loaded.net_.estimator is None
    assert not any(module.training for module in loaded.net_.modules)


def test_features_are_those_of_the_pass():
    class Featured(Watching):
        uses_features: ClassVar[bool] = True

    make(Featured, max_epochs=1, batch_size=18, lr=1e-15).fit(X, PARTIAL)
    ((*_, labeled, unlabeled),) = Watching.seen
    fresh = make(Featured, max_epochs=1, lr=1e-15).fit(X, PARTIAL)
    for batch in (labeled, unlabeled):
        np.testing.assert_allclose(batch.features.detach(), fresh.embed(batch.rows.numpy()), rtol=1e-6)
        np.testing.assert_allclose(
            batch.logits.detach().softmax(1), fresh.predict_proba(batch.rows.numpy()), rtol=1e-6
        )


@pytest.mark.parametrize("use", [lambda features: features.sum(), lambda features: features @ features.T])
def test_features_that_were_not_asked_for_are_named(use):
    class Forgetful(NetClassifier):
        def losses(self, net, labeled, unlabeled):
            return {"loss": use(labeled.features)}

    with pytest.raises((AttributeError, TypeError)) as caught:
        make(Forgetful).fit(X, TRUTH)
    assert "unless Forgetful has uses_features: ClassVar[bool] = True" in caught.value.__notes__[0]


class PickleEachEpoch(Callback):
    def on_epoch_end(self, net, **_):
        assert pickle.loads(pickle.dumps(net)).critic_.weight.shape == (1, 5)


def test_a_net_can_be_pickled_in_training_and_forgets_the_classifier_after_it():
    clf = make(Beside, callbacks=[PickleEachEpoch()]).fit(X, TRUTH)
    assert clf.net_.estimator is None
    assert clf.net_._recorder is None
    with pytest.raises(RuntimeError, match="the training of this net has ended"):
        clf.net_.train_step(((torch.from_numpy(X), None, None), torch.from_numpy(TRUTH)))


class Moody(MLP):
    """Keeps the modes of its layers at each pass, and whether it was one of training."""

    seen: ClassVar[set] = set()

    def forward(self, rows):
        modes = frozenset(part.training for part in self.modules())
        self.seen.add((torch.is_grad_enabled(), modes))
        return super().forward(rows)


class Disturbing(Callback):
    def on_train_begin(self, net, **_):
        next(net.module_.children()).eval()

    def on_batch_end(self, net, training, **_):
        net.module_.train(not training)


def test_each_batch_is_seen_in_its_own_mode():
    make(NetClassifier, module=Moody, batch_size=5, validation_fraction=0.4, callbacks=[Disturbing()]).fit(
        X, TRUTH
    )
    assert Moody.seen == {(True, frozenset({True})), (False, frozenset({False}))}


def test_held_out_rows_have_a_loss_and_an_accuracy():
    clf = make(NetClassifier, validation_fraction=0.4, max_epochs=3).fit(X, TRUTH)
    held_out = clf._split(TRUTH, np.random.default_rng(clf.net_.seed))[1]
    best = clf.net_.history[:, "valid_loss"].index(min(clf.net_.history[:, "valid_loss"]))
    assert clf.net_.history[best, "valid_accuracy"] == clf.score(X[held_out], TRUTH[held_out])
    losses = -np.log(clf.predict_proba(X[held_out])[np.arange(len(held_out)), TRUTH[held_out]])
    assert clf.net_.history[best, "valid_loss"] == pytest.approx(losses.mean())


class Returning(NetClassifier):
    """What an author's hooks return, beside an extra module with a learning rate of its own."""

    uses_unlabeled: ClassVar[bool] = True
    terms: ClassVar = staticmethod(lambda loss: {"loss": loss, "critic_loss": loss * 0})
    part: ClassVar = staticmethod(lambda module: {"critic": (module, 0.1)})

    def losses(self, net, labeled, unlabeled):
        return self.terms(labeled.cross_entropy() + 0 * net.critic_.weight.sum())

    def extra_modules(self, net):
        return self.part(nn.Linear(2, 1))


@pytest.mark.parametrize(
    ("terms", "error", "message"),
    [
        (lambda loss: loss, TypeError, "returned Tensor; it must return a dict"),
        (lambda loss: {}, TypeError, "returned an empty dict"),
        (lambda loss: {"loss": loss, "critic_loss": 0.5}, TypeError, "returned float for 'critic_loss'"),
        (
            lambda loss: {"loss": loss[None], "critic_loss": loss},
            TypeError,
            r"returned shape \(1,\) for 'loss'",
        ),
        (lambda loss: {"loss": loss}, ValueError, "none is called 'critic_loss'"),
        (lambda loss: {"loss": loss, "critc_loss": loss}, ValueError, "'critc_loss', 'loss'.*none is called"),
    ],
)
def test_losses_that_would_not_train_what_they_should_are_refused(terms, error, message, monkeypatch):
    make(Returning).fit(X, PARTIAL)
    monkeypatch.setattr(Returning, "terms", staticmethod(terms))
    with pytest.raises(error, match=rf"Returning\.losses returned .*{message.removeprefix('returned ')}"):
        make(Returning).fit(X, PARTIAL)


def test_a_term_of_unlabelled_rows_may_be_missing_where_there_are_none(monkeypatch):
    monkeypatch.setattr(Returning, "terms", staticmethod(lambda loss: {"loss": loss}))
    make(Returning).fit(X, TRUTH)
    monkeypatch.setattr(Returning, "uses_unlabeled", False)
    with pytest.raises(ValueError, match="none is called 'critic_loss'"):
        make(Returning).fit(X, TRUTH)


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (lambda module: {"critic": module}, "returned Linear for 'critic'"),
        (lambda module: {"module": (module, None)}, "returned tuple for 'module'"),
    ],
)
def test_extra_modules_that_are_no_pairs_are_refused(part, message, monkeypatch):
    monkeypatch.setattr(Returning, "part", staticmethod(part))
    with pytest.raises(TypeError, match=rf"Returning\.extra_modules {message}"):
        make(Returning).fit(X, PARTIAL)

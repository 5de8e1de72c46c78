"""Networks on what people have: bytes, images in any layout, unequal classes."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits
from torchvision.transforms import v2

from skal import ActiveLearner
from skal.access import as_torch
from skal.classifiers import CNNClassifier, NetClassifier, VAALClassifier
from skal.generators import GAN
from skal.metrics import gan_test_score, inception_score
from skal.strategies import ASAL, GAAL, RandomSampling, UncertaintySampling
from tests.networks import tiny_vae, tiny_wasserstein

PIXELS, DIGITS = load_digits(return_X_y=True)
BYTES = (PIXELS[:300] * 15).astype(np.uint8).reshape(-1, 1, 8, 8)
FLOATS = (BYTES / 255).astype(np.float32)
Y = DIGITS[:300]
PARTIAL = np.where(np.arange(300) < 60, Y, -1)


def cnn(**params):
    return CNNClassifier(**{"max_epochs": 3, "random_state": 0, **params})


class TestScale:
    @pytest.mark.parametrize(
        ("scale", "shift", "factor"),
        [("auto", 0.0, 255.0), (None, 0.0, 1.0), ((100, 50.0), 100, 50), ((np.array([3.0]), [20]), 3, 20)],
        ids=str,
    )
    def test_bytes_are_brought_to_a_scale_inside(self, scale, shift, factor):
        clf = cnn(scale=scale).fit(BYTES, Y)
        rows = (BYTES.astype(np.float32) - np.float32(shift)) / np.float32(factor)
        same = cnn(scale=None).fit(rows, Y)
        assert_array_equal(clf.predict_proba(BYTES), same.predict_proba(rows))
        assert_array_equal(clf.embed(BYTES), same.embed(rows))
        assert_allclose(as_torch(clf)(torch.tensor(BYTES)), as_torch(same)(torch.tensor(rows)), rtol=1e-5)
        assert clf.scale_ == (None if scale is None else (shift, factor) if scale == "auto" else clf.scale_)
        assert clf.takes_bytes_

    @pytest.mark.parametrize("top", [1, 255])
    def test_imagenet(self, top):
        rows = np.repeat(BYTES if top == 255 else FLOATS, 3, axis=1)
        clf = cnn(scale="imagenet", module_params=None).fit(rows, Y)
        mean, deviation = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])
        assert_allclose(clf.scale_, (mean * top, deviation * top))
        expected = (rows / top - mean[:, None, None]) / deviation[:, None, None]
        assert_allclose(clf.net_.prepare_rows(torch.tensor(rows)), expected, rtol=1e-4, atol=1e-5)

    def test_another_kind_of_numbers_is_refused(self):
        with pytest.raises(ValueError, match=r"fitted on bytes \(uint8\).*has other numbers.*scale="):
            cnn().fit(BYTES, Y).predict(FLOATS)
        with pytest.raises(ValueError, match=r"fitted on other numbers.*has bytes"):
            cnn().fit(FLOATS, Y).predict_proba(BYTES)
        fitted = cnn(scale=(0, 255)).fit(BYTES, Y)
        assert_array_equal(fitted.predict(BYTES.astype(np.float32)), fitted.predict(BYTES))

    @pytest.mark.parametrize(
        "scale",
        ["imagenet", (0, 0), (0, np.inf), ([1, 2], 3), (np.nan, 1), (1,), [1, 2, 3], ([[1]], 2)],
        ids=str,
    )
    def test_scales_that_do_not_suit(self, scale):
        with pytest.raises(ValueError, match="scale="):
            cnn(scale=scale).fit(BYTES, Y)

    def test_saved_pickled_and_warm(self, tmp_path):
        clf = cnn(warm_start=True).fit(BYTES, Y)
        expected = clf.predict_proba(BYTES)
        clf.save(tmp_path / "clf")
        for other in (CNNClassifier.load(tmp_path / "clf"), pickle.loads(pickle.dumps(clf))):
            assert other.scale_ == (0.0, 255.0)
            assert_array_equal(other.predict_proba(BYTES), expected)
        assert clf.fit(BYTES, Y).score(BYTES, Y) > 0.1

    def test_learns_from_bytes_as_from_floats(self):
        scores = [cnn(max_epochs=15).fit(rows, Y).score(rows, Y) for rows in (BYTES, FLOATS)]
        assert scores[0] == scores[1] > 0.7

    @pytest.mark.parametrize(
        "classifier",
        [
            tiny_wasserstein("digits", max_epochs=2),
            VAALClassifier(max_epochs=2, vae_epochs=2, random_state=0),
        ],
    )
    def test_those_with_losses_of_their_own(self, classifier):
        got, expected = (clone(classifier).fit(rows, PARTIAL) for rows in (BYTES, FLOATS))
        assert_array_equal(got.predict_proba(BYTES), expected.predict_proba(FLOATS))

    def test_an_extension_of_floats_does_not_change_the_scale(self):
        learner = ActiveLearner(cnn(), RandomSampling(), random_state=0).fit(BYTES, PARTIAL)
        learner.extend(BYTES[:2].astype(float), Y[:2])
        assert learner.estimator_.takes_bytes_
        with pytest.raises(ValueError, match="do not fit the uint8 of the pool"):
            learner.extend(FLOATS[:2], Y[:2])


def test_generators_and_judges_share_the_bytes():
    judge = cnn().fit(BYTES, Y)
    strategy = ASAL(GAN(n_latent=4, n_iter=5, random_state=0), n_steps=3, random_state=0)
    fitted = ActiveLearner(cnn(max_epochs=15), strategy, n_queries=5, random_state=0).fit(
        BYTES, Y * (Y < 3) - (Y >= 3)
    )
    rows = fitted.query()
    report = fitted.strategy_.query_report_
    assert report.synthetic.shape == (5, 1, 8, 8)
    assert report.synthetic.max() > 1
    logits = as_torch(fitted.estimator_)(torch.tensor(report.synthetic))
    entropy = torch.distributions.Categorical(logits=logits).entropy()
    assert_allclose(entropy.detach(), report.entropy_after, rtol=1e-3, atol=1e-5)
    assert len(rows) == 5
    generated = BYTES.astype(np.float32) + np.float32(0.3)  # on the scale of X, as generators return them
    assert gan_test_score(judge, generated, Y).accuracy == judge.score(BYTES, Y)
    assert_allclose(
        inception_score(generated, judge, random_state=0).mean,
        inception_score(BYTES, judge, random_state=0).mean,
    )
    made = ActiveLearner(cnn(), GAAL(GAN(n_latent=4, n_iter=5, random_state=0), n_steps=2)).fit(
        BYTES, PARTIAL
    )
    samples = made.synthesize(3)
    assert samples.dtype == np.uint8
    assert made.extend(samples, Y[:3]).predict(BYTES).shape == (300,)


def test_channels_last_are_refused():
    with pytest.raises(ValueError, match=r"channels last.*np.moveaxis\(X, -1, 1\)"):
        cnn().fit(np.moveaxis(BYTES, 1, -1), Y)
    assert cnn(image_shape=(8, 8, 1)).fit(np.moveaxis(BYTES, 1, -1), Y).input_shape_ == (8, 8, 1)
    with pytest.raises(ValueError, match="channels last"):
        tiny_vae().fit(np.repeat(np.moveaxis(BYTES, 1, -1), 3, axis=-1))


class TestAugment:
    def test_training_rows_alone_are_changed_in_the_numbers_of_x(self):
        seen = []

        def augment(rows):
            seen.append(rows)
            return 255 - rows

        clf = cnn(augment=augment, validation_fraction=0.2, max_epochs=2).fit(BYTES, Y)
        assert all(rows.dtype == torch.uint8 and rows.shape[1:] == (1, 8, 8) for rows in seen)
        assert sum(map(len, seen)) == 2 * 240
        plain = cnn(augment=lambda rows: rows, max_epochs=2).fit(255 - BYTES, Y)
        turned = cnn(augment=augment, max_epochs=2).fit(BYTES, Y)
        assert_array_equal(turned.predict_proba(255 - BYTES), plain.predict_proba(255 - BYTES))
        before = len(seen)
        clf.predict(BYTES)
        assert len(seen) == before

    def test_random_state_decides_what_is_drawn(self):
        flips = v2.Compose([v2.RandomHorizontalFlip(0.5), v2.RandomCrop(8, padding=1)])
        state = torch.random.get_rng_state()
        first, second, other, none = (
            cnn(augment=augment, random_state=seed).fit(BYTES, Y).predict_proba(BYTES)
            for augment, seed in ((flips, 0), (flips, 0), (flips, 1), (None, 0))
        )
        assert torch.equal(torch.random.get_rng_state(), state)
        assert_array_equal(first, second)
        assert (first != other).any()
        assert (first != none).any()

    def test_transforms_with_a_get_params_of_their_own(self):
        crop = v2.RandomCrop(8, padding=1)
        clf = cnn(augment=crop, max_epochs=1)
        assert clf.get_params()["augment"] is crop
        assert clone(clf).get_params()["max_epochs"] == 1
        learner = ActiveLearner(clf, UncertaintySampling(), n_queries=3, random_state=0).fit(BYTES, PARTIAL)
        assert learner.query().shape == (3,)
        assert learner.estimator_.augment.padding == crop.padding

    def test_what_it_returns_is_checked(self):
        for augment in (lambda rows: rows[:, :, :4], lambda rows: rows.numpy(), lambda rows: rows / 255):
            with pytest.raises(ValueError, match=r"augment .*returned"):
                cnn(augment=augment).fit(BYTES, Y)


class TestClassWeight:
    X = np.random.default_rng(0).normal(size=(200, 2)).astype(np.float32)
    y = np.where(np.arange(200) < 180, "many", "few")

    def fit(self, class_weight, **params):
        clf = NetClassifier(class_weight=class_weight, max_epochs=30, lr=0.01, random_state=0)
        return clf.fit(self.X, self.y, **params).predict_proba(self.X)

    def test_it_is_a_sample_weight(self):
        weight = np.where(self.y == "few", 9.0, 1.0)
        expected = self.fit(None, sample_weight=weight)
        assert_array_equal(self.fit({"few": 9.0}), expected)
        assert_allclose(self.fit("balanced"), expected, atol=1e-5)
        assert_array_equal(
            self.fit({"few": 3.0}, sample_weight=np.where(self.y == "few", 3.0, 1.0)), expected
        )

    def test_it_balances(self):
        assert self.fit(None)[:, 0].mean() < 0.2 < 0.4 < self.fit("balanced")[:, 0].mean()

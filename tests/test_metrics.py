"""Frechet distance, inception score and GAN-test against literal formulas in float64."""

import pickle
from copy import deepcopy

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy import linalg, sparse
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.decomposition import PCA
from sklearn.ensemble import RandomForestClassifier
from sklearn.exceptions import NotFittedError
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import skal.metrics
from skal.access import embed
from skal.metrics import (
    FeatureStatistics,
    GenerationScorer,
    InceptionFeatures,
    frechet_distance,
    gan_test_score,
    inception_score,
)
from skal.utils._torchvision import import_torchvision

X, Y = load_digits(return_X_y=True)
X = X / 16
FAKES = (X[::-1] + np.random.default_rng(0).normal(scale=0.2, size=X.shape)) * 0.9


@pytest.fixture(scope="module")
def judge():
    return MLPClassifier((16,), activation="tanh", max_iter=30, random_state=0, tol=1).fit(X, Y)


class Normal(GaussianNB):
    """A classifier that generates: naive Bayes, with a normal distribution a pixel and class."""

    def sample(self, y, random_state=None):
        codes = np.searchsorted(self.classes_, y)
        return np.random.default_rng(random_state).normal(self.theta_[codes], np.sqrt(self.var_[codes]))


def literal_frechet(real, generated):
    """The formula as published programs compute it, by scipy's root of a matrix."""
    one, other = np.cov(real, rowvar=False), np.cov(generated, rowvar=False)
    root = linalg.sqrtm(one @ other)
    shift = real.mean(axis=0) - generated.mean(axis=0)
    return shift @ shift + np.trace(one + other - 2 * root.real)


def literal_inception(probabilities, n_splits):
    """Salimans et al.'s program, in float64."""
    size = len(probabilities) // n_splits
    scores = []
    for i in range(n_splits):
        part = probabilities[i * size : (i + 1) * size]
        divergence = part * (np.log(part) - np.log(part.mean(axis=0, keepdims=True)))
        scores.append(np.exp(divergence.sum(axis=1).mean()))
    return np.mean(scores), np.std(scores)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_frechet_distance_is_that_of_the_published_formula(dtype):
    varying = X.std(axis=0) > 0.1
    real, fakes = X[:, varying].astype(dtype), FAKES[:, varying].astype(dtype)
    result = frechet_distance(real, fakes)
    assert_allclose(result.distance, literal_frechet(real.astype(float), fakes.astype(float)), rtol=1e-6)
    assert (result.n_real, result.n_generated, result.n_features) == (len(X), len(X), varying.sum())
    assert float(result) == result.distance
    assert result.name == "Frechet distance"


@given(seed=st.integers(0, 1000), n_features=st.integers(1, 6))
def test_frechet_distance_of_diagonal_covariances(seed, n_features):
    """Without correlations it is the sum of the squared differences of means and of deviations."""
    rng = np.random.default_rng(seed)
    means, scales = rng.normal(size=(2, n_features)), rng.choice([0, 0.5, 1, 3], size=(2, n_features))
    # Plus and minus the axes: exactly uncorrelated.
    axes = np.concatenate([np.eye(n_features), -np.eye(n_features)])
    real, generated = (mean + scale * axes for mean, scale in zip(means, scales, strict=True))
    variance = 2 / (2 * n_features - 1)
    expected = ((means[0] - means[1]) ** 2 + variance * (scales[0] - scales[1]) ** 2).sum()
    assert_allclose(float(frechet_distance(real, generated)), expected, rtol=1e-9, atol=1e-12)


def test_singular_covariances_and_few_rows():
    few = X[:20]  # 64 pixels, some of them constant
    assert float(frechet_distance(few, few)) == pytest.approx(0, abs=1e-10)
    assert float(frechet_distance(few, few + 0.25)) == pytest.approx(64 / 16)
    # A rotation of low rank: both covariances are projections, whose root of the product is known.
    basis = np.linalg.qr(np.random.default_rng(0).normal(size=(30, 30)))[0]
    one, other = basis[:, :4], np.concatenate([basis[:, :2], basis[:, 10:12]], axis=1)
    real, generated = (np.concatenate([part.T, -part.T]) for part in (one, other))
    # Four directions of variance 2/7 each, two of them shared.
    assert_allclose(float(frechet_distance(real, generated)), 2 / 7 * (4 + 4 - 2 * 2), rtol=1e-12)
    assert float(frechet_distance(np.ones((3, 4)), np.zeros((3, 4)))) == 4


def test_distance_is_symmetric_and_ignores_the_order():
    rows = np.random.default_rng(0).permutation(len(X))
    forth, back = frechet_distance(X, FAKES), frechet_distance(FAKES[rows], X)
    assert_allclose(float(forth), float(back), rtol=1e-9)


def test_statistics_stream_and_merge(monkeypatch):
    shifted = 1e4 + X  # cancels where sums of squares are subtracted
    whole = FeatureStatistics().update(shifted)
    assert_allclose(whole.mean, shifted.mean(axis=0), rtol=1e-12)
    assert_allclose(whole.covariance, np.cov(shifted, rowvar=False), rtol=1e-8, atol=1e-10)
    parts = [FeatureStatistics().update(part) for part in np.array_split(shifted, 3)]
    merged = parts[0].merge(parts[1]).merge(pickle.loads(pickle.dumps(parts[2])))
    assert merged.n_samples == len(X)
    assert parts[1].n_samples == len(X) // 3
    monkeypatch.setattr(skal.metrics, "_BLOCK_BYTES", 64 * 8 * 7)
    sizes = []
    by_seven = FeatureStatistics(lambda block: sizes.append(len(block)) or block).update(shifted)
    assert max(sizes) == 7
    for other in (merged, by_seven):
        assert_allclose(other.mean, whole.mean, rtol=1e-12)
        assert_allclose(other.covariance, whole.covariance, rtol=1e-8, atol=1e-10)


def test_features_of_all_kinds(judge):
    pca = PCA(5).fit(X)
    by_hand = frechet_distance(pca.transform(X), pca.transform(FAKES)).distance
    for features in (pca, pca.transform, FrozenEstimator(pca)):
        result = frechet_distance(X, FAKES, features)
        assert_allclose(result.distance, by_hand, rtol=1e-9)
        assert result.name == "Frechet distance"
    by_hand = literal_frechet(embed(judge, X), embed(judge, FAKES))
    for classifier in (judge, FrozenEstimator(judge)):
        result = frechet_distance(X, FAKES, classifier)
        assert_allclose(result.distance, by_hand, rtol=1e-5)
        assert (result.name, result.n_features) == ("classifier Frechet distance", 16)
    images = frechet_distance(X.reshape(-1, 8, 8), FAKES.reshape(-1, 8, 8))
    assert images == frechet_distance(X, FAKES)
    assert_allclose(frechet_distance(sparse.csr_array(X), FAKES).distance, images.distance)


def test_statistics_bring_their_features(judge):
    reference = FeatureStatistics(judge).update(X)
    assert frechet_distance(reference, FAKES) == frechet_distance(X, FAKES, judge)
    assert frechet_distance(reference, FAKES, judge) == frechet_distance(X, FAKES, judge)
    pca = PCA(2).fit(X)  # each look at whose transform gives another object
    reduced = FeatureStatistics(pca.transform).update(X)
    assert frechet_distance(reduced, FAKES, pca.transform) == frechet_distance(X, FAKES, pca)
    with pytest.raises(ValueError, match="bring their own"):
        frechet_distance(reference, FAKES, PCA(2).fit(X))
    with pytest.raises(ValueError, match=r"16 features \(classifier.* and 64 features"):
        frechet_distance(reference, FeatureStatistics().update(FAKES))


def test_refusals_of_the_distance():
    with pytest.raises(ValueError, match="seen 1 rows and at least 2"):
        frechet_distance(X, FAKES[:1])
    with pytest.raises(ValueError, match="seen 0 rows"):
        _ = FeatureStatistics().mean
    with pytest.raises(ValueError, match="give rows"):
        frechet_distance(X, FAKES[:0])
    with pytest.raises(ValueError, match="give rows"):
        frechet_distance(X, FAKES[0])
    with pytest.raises(ValueError, match=r"64 features .* and 32 features"):
        frechet_distance(X, FAKES[:, :32])
    broken = FAKES.copy()
    broken[-1, -1] = np.nan
    statistics = FeatureStatistics().update(X)
    with pytest.raises(ValueError, match="NaN or infinity"):
        statistics.update(broken)
    with pytest.raises(ValueError, match="32 features were given after 64"):
        statistics.update(X[:, :32])
    assert statistics.n_samples == len(X)
    with pytest.raises(ValueError, match="must be one row of them a row"):
        frechet_distance(X, FAKES, lambda block: block[:-1])
    with pytest.raises(ValueError, match="real numbers"):
        frechet_distance(X, FAKES, lambda block: block.astype(complex))
    with pytest.raises(TypeError, match="no penultimate embedding"):
        frechet_distance(X, FAKES, RandomForestClassifier(2).fit(X, Y))
    with pytest.raises(TypeError, match="give a function of rows"):
        frechet_distance(X, FAKES, "pixels")
    for unfitted in (PCA(2), LogisticRegression()):
        with pytest.raises(NotFittedError):
            frechet_distance(X, FAKES, unfitted)


@pytest.mark.parametrize("n_splits", [1, 10])
def test_inception_score_is_that_of_the_published_program(judge, n_splits):
    probabilities = judge.predict_proba(FAKES[:1790])
    result = inception_score(probabilities, n_splits=n_splits, shuffle=False)
    assert_allclose((result.mean, result.std), literal_inception(probabilities, n_splits), rtol=1e-9)
    assert (result.n_samples, result.n_splits, result.name) == (1790, n_splits, "inception score")
    judged = inception_score(FAKES[:1790], judge, n_splits=n_splits, shuffle=False)
    assert_allclose(judged.mean, result.mean, rtol=1e-9)
    assert judged.name == "classifier inception score"
    assert float(inception_score(FAKES[:1790], judge.predict_proba, n_splits=1)) == pytest.approx(
        literal_inception(probabilities, 1)[0]
    )


@given(st.integers(2, 7), st.integers(0, 100))
def test_inception_score_lies_between_one_and_the_number_of_classes(n_classes, seed):
    rng = np.random.default_rng(seed)
    probabilities = rng.dirichlet(np.full(n_classes, 0.3), size=60)
    assert 1 <= inception_score(probabilities, n_splits=3, random_state=seed).mean <= n_classes
    assert inception_score(np.tile(probabilities[:1], (60, 1)), n_splits=3).mean == pytest.approx(1)
    certain = np.tile(np.eye(n_classes), (30, 1))
    assert inception_score(certain, n_splits=1).mean == pytest.approx(n_classes)


def test_shuffling_undoes_an_order_by_class(monkeypatch):
    by_class = np.repeat(np.eye(10), 200, axis=0)
    assert inception_score(by_class, shuffle=False).mean == pytest.approx(1)
    first = inception_score(by_class, random_state=0)
    assert first.mean > 9
    assert first.std < 0.3
    monkeypatch.setattr(skal.metrics, "_BLOCK_BYTES", 7 * 80)
    streamed = inception_score(by_class, random_state=0)
    assert_allclose((streamed.mean, streamed.std), (first.mean, first.std))


def test_refusals_of_the_inception_score(judge):
    with pytest.raises(ValueError, match="9 rows cannot make n_splits=10"):
        inception_score(X[:9], judge)
    with pytest.raises(ValueError, match="n_splits=0 was given"):
        inception_score(X, judge, n_splits=0)
    with pytest.raises(ValueError, match="at least two classes"):
        inception_score(np.ones((20, 1)))
    with pytest.raises(ValueError, match=r"shape \(5, 10\) .* came back for 20 rows"):
        inception_score(X[:20], lambda block: judge.predict_proba(block)[:5])
    for wrong in (np.full((20, 3), 0.5), np.tile([1.5, -0.5], (20, 1)), np.full((20, 2), np.nan)):
        with pytest.raises(ValueError, match="give class probabilities"):
            inception_score(wrong)
    with pytest.raises(TypeError, match="predict_proba"):
        inception_score(X, "judge")
    with pytest.raises(NotFittedError):
        inception_score(X, LogisticRegression())


def test_gan_test(judge):
    result = gan_test_score(judge, FAKES, Y[::-1])
    hits = judge.predict(FAKES) == Y[::-1]
    assert 0 < result.accuracy < 1
    assert_allclose(float(result), hits.mean())
    assert_array_equal(result.classes, np.arange(10))
    assert_allclose(result.class_accuracy, [hits[Y[::-1] == k].mean() for k in range(10)])
    assert_array_equal(result.class_counts, np.bincount(Y))
    assert result.n_samples == len(Y)
    names = np.array([f"digit {k}" for k in range(10)])
    named = GaussianNB().fit(X, names[Y])
    ones = gan_test_score(named, FAKES[Y[::-1] == 1], ["digit 1"] * (Y == 1).sum())
    assert ones.classes.tolist() == ["digit 1"]
    with pytest.raises(ValueError, match=r"\['digit 10'\] are unknown"):
        gan_test_score(named, FAKES[:2], ["digit 1", "digit 10"])
    with pytest.raises(ValueError, match="one label a row"):
        gan_test_score(judge, FAKES, Y[:-1])
    with pytest.raises(ValueError, match="unlabelled"):
        gan_test_score(judge, FAKES, np.full(len(FAKES), -1))
    with pytest.raises(TypeError, match="no predict"):
        gan_test_score(PCA(2), FAKES, Y)


def test_scorer_measures_what_the_functions_measure(judge, monkeypatch):
    monkeypatch.setattr(skal.metrics, "_SAMPLES_A_BLOCK", 128)
    asked = []

    class Recorded(Normal):
        def sample(self, y, random_state=None):
            rows = super().sample(y, random_state)
            asked.append((rows, y))
            return rows

    generator = Recorded().fit(X, Y)
    reference = FeatureStatistics(judge).update(X)
    scorer = GenerationScorer(reference, classifier=judge, n_samples=505, n_splits=1, random_state=3)
    scores = scorer(generator, X, Y)
    rows, labels = map(np.concatenate, zip(*asked, strict=True))
    assert [len(y) for _, y in asked] == [128, 128, 128, 121]
    assert len(np.unique(rows, axis=0)) == 505
    assert set(np.bincount(labels)) == {50, 51}
    expected = {
        "accuracy": generator.score(X, Y),
        "classifier_frechet_distance": frechet_distance(X, rows, judge).distance,
        "classifier_inception_score": inception_score(rows, judge, n_splits=1).mean,
        "gan_test_accuracy": gan_test_score(judge, rows, labels).accuracy,
    }
    assert list(scores) == list(expected)
    assert_allclose([scores[name] for name in expected], list(expected.values()), rtol=1e-6)
    again = scorer(generator)
    assert again == {name: scores[name] for name in list(scores)[1:]}
    assert deepcopy(scorer) is scorer
    assert pickle.loads(pickle.dumps(scorer))(generator) == again
    other = GenerationScorer(judge=lambda rows: np.tile([0.5, 0.5], (len(rows), 1)), n_samples=20)
    assert other(generator) == {"inception_score": pytest.approx(1)}


def test_refusals_of_the_scorer(judge):
    with pytest.raises(ValueError, match="Nothing to measure by"):
        GenerationScorer()
    with pytest.raises(TypeError, match="FeatureStatistics"):
        GenerationScorer(X)
    with pytest.raises(ValueError, match="at least 2"):
        GenerationScorer(FeatureStatistics())
    with pytest.raises(TypeError, match="not fitted"):
        GenerationScorer(classifier=clone(judge))
    with pytest.raises(ValueError, match="cannot make n_splits=10"):
        GenerationScorer(classifier=judge, n_samples=9)
    with pytest.raises(ValueError, match="n_samples=1 "):
        GenerationScorer(FeatureStatistics().update(X), n_samples=1)
    scorer = GenerationScorer(classifier=judge, n_samples=20, n_splits=1)
    with pytest.raises(TypeError, match="Pipeline has no sample"):
        scorer(make_pipeline(StandardScaler(), Normal()).fit(X, Y))
    with pytest.raises(ValueError, match=r"\[11\] are unknown"):
        scorer(Normal().fit(X, Y + 2 * (Y == 9)))
    generator = Normal().fit(X, Y)
    generator.sample = lambda y, random_state: X[:3]
    with pytest.raises(ValueError, match="given 20 labels and made 3 rows"):
        scorer(generator)


@pytest.fixture(scope="module")
def inception(tmp_path_factory):
    """The file of an Inception v3 with 12 classes, and the network: equal weights in a kernel keep the file small."""
    import_torchvision()
    from torchvision.models.inception import Inception3

    with torch.device("meta"):
        net = Inception3(12, init_weights=False)
    generator, state = torch.Generator().manual_seed(0), {}
    for name, tensor in net.state_dict().items():
        if tensor.ndim == 0:
            state[name] = torch.zeros((), dtype=torch.int64)
        elif tensor.ndim > 1:
            channels = torch.rand((len(tensor), *[1] * (tensor.ndim - 1)), generator=generator)
            state[name] = ((0.6 + channels) / tensor[0].numel()).expand(tensor.shape)
        else:
            state[name] = torch.ones(len(tensor)) if name.endswith(("var", "weight")) else torch.zeros(1)
            state[name] = state[name].expand(len(tensor))
    # Outputs that tell images, and classes, apart.
    state["fc.weight"] = torch.randn(12, 2048, generator=generator) / 20
    file = tmp_path_factory.mktemp("inception") / "inception.pth"
    torch.save(state, file)
    net = net.to_empty(device="cpu").eval()
    net.load_state_dict(state)
    return file, net


def test_inception_features_are_those_of_torchvision(inception):
    file, net = inception
    images = np.random.default_rng(0).integers(150, 200, size=(2, 1, 5, 5), dtype=np.uint8)
    images[1] += 50
    before = torch.random.get_rng_state()
    features = InceptionFeatures(file, batch_size=1, device="cpu")
    assert torch.equal(torch.random.get_rng_state(), before)
    # As torchvision's own transform has it: ImageNet's means and deviations, which the network turns to [-1, 1].
    pixels = torch.as_tensor(images / 255.0, dtype=torch.float32).expand(-1, 3, -1, -1)
    pixels = torch.nn.functional.interpolate(pixels, size=(299, 299), mode="bilinear", antialias=True)
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    net.transform_input = True
    with torch.no_grad():
        expected = net((pixels - mean[:, None, None]) / std[:, None, None]).softmax(1).numpy()
    probabilities = features.predict_proba(images)
    assert np.ptp(expected, axis=0).max() > 0.01
    assert_allclose(probabilities, expected, rtol=1e-3, atol=1e-5)
    bits = images[:1] > images[:1].mean()
    assert_array_equal(features(bits), features(bits.astype(float)))
    loaded = pickle.loads(pickle.dumps(features))
    embedded = loaded(images[:1, 0] / 255.0)
    assert embedded.shape == (1, 2048)
    logits = torch.as_tensor(embedded) @ net.fc.weight.T + net.fc.bias
    assert_allclose(logits.softmax(1).detach().numpy(), expected[:1], rtol=1e-3, atol=1e-5)
    assert FeatureStatistics(features).name == "torchvision Inception Frechet distance"


def test_refusals_of_inception(inception, tmp_path):
    file, _ = inception
    with pytest.raises(FileNotFoundError, match="downloads nothing"):
        InceptionFeatures(tmp_path / "none.pth")
    torch.save({"fc.bias": torch.zeros(3)}, tmp_path / "other.pth")
    with pytest.raises(ValueError, match="does not fit this network"):
        InceptionFeatures(tmp_path / "other.pth")
    with pytest.raises(ValueError, match="batch_size=0"):
        InceptionFeatures(file, batch_size=0)
    with pytest.raises(ValueError, match="must be the smaller"):
        InceptionFeatures(file, pixel_range=(1, 1))
    features = InceptionFeatures(file, image_shape=(8, 8))
    with pytest.raises(ValueError, match="give the range of the images"):
        features(16 * X[:1])
    for wrong in (np.zeros((1, 2, 8, 8)), np.zeros((0, 8, 8))):
        with pytest.raises(ValueError, match="give images"):
            features(wrong)

"""Networks on tokens and mappings of arrays, and on datasets that decode their rows."""

import pickle

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.model_selection import cross_val_predict
from skorch.helper import SliceDataset, SliceDict
from torch import nn
from torch.utils.data import Dataset, Subset, TensorDataset

from skal import ActiveLearner
from skal.access import as_torch
from skal.classifiers import LearningLossClassifier, NetClassifier, VAALClassifier
from skal.exceptions import ModelFileError
from skal.pool import DatasetPool
from skal.strategies import BADGE, BALD, DGAL, CoreSet, LearningLoss, RandomSampling, UncertaintySampling
from skal.training.files import read_file, write_file
from tests.classifiers.test_real_data import BYTES, DIGITS, FLOATS, PARTIAL, Y, cnn
from tests.networks import tiny_vae, tiny_wasserstein

TOKENS = np.random.default_rng(0).integers(1, 40, size=(240, 12))
LENGTHS = np.random.default_rng(1).integers(4, 13, size=240)
MASK = (np.arange(12) < LENGTHS[:, None]).astype(np.int64)
TOPIC = np.arange(240) % 3
TOKENS = np.where(np.random.default_rng(2).random(TOKENS.shape) < 0.4, TOPIC[:, None] + 1, TOKENS)
TOKENS[MASK == 0] = 0
MAPPING = {"input_ids": TOKENS, "attention_mask": MASK}
TOPIC_PARTIAL = np.where(np.arange(240) < 90, TOPIC, -1)


class Reader(nn.Module):
    """The mean of the embeddings of tokens, as a stand-in for a transformer."""

    def __init__(self, n_classes):
        super().__init__()
        self.embedding = nn.Embedding(40, 16)
        self.drop = nn.Dropout(0.3)
        self.head = nn.Linear(16, n_classes)

    def forward(self, input_ids, attention_mask=None):
        assert not input_ids.is_floating_point()
        shares = (input_ids > 0 if attention_mask is None else attention_mask)[..., None].float()
        hidden = (self.embedding(input_ids) * shares).sum(1) / shares.sum(1)
        return self.head(self.drop(hidden.relu()))


def reader(**params):
    return NetClassifier(Reader, **{"max_epochs": 20, "lr": 0.01, "random_state": 0, **params})


def test_integers_that_are_looked_up_stay_integers():
    clf = reader().fit(TOKENS, TOPIC)
    assert clf.score(TOKENS, TOPIC) > 0.9
    assert_array_equal(clf.predict(TOKENS.astype(np.int16)), clf.predict(TOKENS))
    assert_allclose(
        as_torch(clf)(torch.tensor(TOKENS)).softmax(1).detach(), clf.predict_proba(TOKENS), rtol=1e-5
    )


class TestMappings:
    def test_arrays_are_arguments_of_the_module(self, tmp_path):
        clf, same = reader().fit(MAPPING, TOPIC), reader().fit(TOKENS, TOPIC)
        assert_allclose(clf.predict_proba(MAPPING), same.predict_proba(TOKENS), rtol=1e-4)
        assert_allclose(clf.embed(SliceDict(**MAPPING)), same.embed(TOKENS), rtol=1e-3, atol=1e-5)
        clf.save(tmp_path / "clf")
        assert_array_equal(
            NetClassifier.load(tmp_path / "clf", module=Reader).predict(MAPPING), clf.predict(MAPPING)
        )
        held_out = cross_val_predict(reader(), SliceDict(**MAPPING), TOPIC, cv=3)
        assert (held_out == TOPIC).mean() > 0.8

    @pytest.mark.parametrize(
        "strategy", [RandomSampling(), UncertaintySampling("margin"), BADGE(), CoreSet(), BALD(3)], ids=str
    )
    def test_a_learner_answers_as_on_the_tokens(self, strategy):
        fitted, same = (
            ActiveLearner(reader(max_epochs=5), strategy, n_queries=5, random_state=0).fit(X, TOPIC_PARTIAL)
            for X in (MAPPING, TOKENS)
        )
        rows = fitted.query()
        if not isinstance(strategy, BALD):  # which draws masks for other operations
            assert len(np.intersect1d(rows, same.query())) >= 4
        assert_array_equal(fitted.query({name: array.copy() for name, array in MAPPING.items()}), rows)
        assert_array_equal(pickle.loads(pickle.dumps(fitted)).query(), rows)
        fitted.teach(rows, TOPIC[rows]).extend(
            {name: array[:2] for name, array in MAPPING.items()}, TOPIC[:2]
        )
        assert len(fitted.query({name: array[90:] for name, array in MAPPING.items()})) == 5
        assert fitted.predict(MAPPING).shape == (240,)
        assert fitted.score(MAPPING, TOPIC) > 0.4

    def test_unlabelled_mappings(self):
        clf = tiny_wasserstein(Reader, max_epochs=5).fit(MAPPING, TOPIC_PARTIAL)
        assert clf.critic_scores(MAPPING).shape == (240,)
        with pytest.raises(TypeError, match=r"rows of numbers.*mappings of input_ids, attention_mask"):
            VAALClassifier().fit(MAPPING, TOPIC_PARTIAL)

    def test_the_loss_of_mappings_is_predicted(self):
        params = {"max_epochs": 3, "random_state": 0}
        fitted = ActiveLearner(
            LearningLossClassifier(Reader, **params), LearningLoss(), n_queries=5, random_state=0
        ).fit(MAPPING, TOPIC_PARTIAL)
        clf = fitted.estimator_
        expected = np.argsort(-clf.predicted_loss(MAPPING)[90:])[:5] + 90
        assert_array_equal(fitted.query(), expected)
        with torch.no_grad():  # the embeddings are the only stage
            stages = [clf.module_.embedding(torch.tensor(TOKENS)).mean(1)]
            assert_allclose(clf.predicted_loss(MAPPING), clf.net_.predictor_(stages), rtol=1e-4, atol=1e-6)

    @pytest.mark.parametrize("scale", ["imagenet", (1.0, 2.0)], ids=str)
    def test_a_scale_that_would_not_be_applied_is_refused(self, scale):
        with pytest.raises(ValueError, match="mappings are not scaled"):
            reader(scale=scale).fit(MAPPING, TOPIC)

    def test_mappings_with_nan_are_refused(self):
        rows = {"pixels": np.where(FLOATS.max() == FLOATS, np.nan, FLOATS).reshape(300, -1), "number": Y}
        with pytest.raises(ValueError, match=r"X\['pixels'\] contains NaN"):
            NetClassifier(FirstPixel).fit(rows, Y)

    def test_integers_of_mappings_stay_integers_and_flags_become_numbers(self):
        seen = []

        class Watching(FirstPixel):
            def forward(self, pixels, number):
                seen.append((pixels.dtype, number.dtype))
                return super().forward(pixels, number)

        rows = {"pixels": FLOATS.reshape(300, -1) > 0.5, "number": Y.astype(np.int16)}
        NetClassifier(Watching, max_epochs=1).fit(rows, Y)
        assert set(seen) == {(torch.float32, torch.int64)}

    @pytest.mark.parametrize(
        "augment",
        [
            lambda rows: None,
            lambda rows: {"x": rows["x"][:-1]},
            lambda rows: {"z": rows["x"]},
        ],
        ids=["nothing", "fewer", "other names"],
    )
    def test_what_augment_returns_is_checked(self, augment):
        classifier = NetClassifier(Reader, augment=augment, max_epochs=1)
        with pytest.raises(ValueError, match=r"augment returned .* for arrays of \{'x': 64\} rows"):
            classifier.fit({"x": FLOATS}, Y)

    def test_wrong_mappings(self):
        with pytest.raises(ValueError, match=r"input_ids.*240.*attention_mask.*239"):
            reader().fit({**MAPPING, "attention_mask": MASK[1:]}, TOPIC)
        fitted = ActiveLearner(reader(max_epochs=1), RandomSampling()).fit(MAPPING, TOPIC_PARTIAL)
        with pytest.raises(ValueError, match="rows of the shapes"):
            fitted.extend({"input_ids": TOKENS[:2]}, [0, 1])
        with pytest.raises(TypeError, match="reads rows as numbers, and its rows are mappings"):
            ActiveLearner(reader(), CoreSet("input")).fit(MAPPING, TOPIC_PARTIAL)


class Drawn(Dataset):
    """Images that are decoded when they are asked for, and how often that was."""

    def __init__(self, images, labels=None):
        self.images, self.labels, self.n_decoded = images, labels, 0

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        self.n_decoded += 1
        image = torch.tensor(self.images[index])
        return image if self.labels is None else (image, self.labels[index])


class TestDatasets:
    @pytest.mark.parametrize("labels", [None, DIGITS])
    def test_rows_are_those_of_the_array(self, labels):
        dataset = Drawn(BYTES, labels)
        clf, same = cnn().fit(dataset, Y), cnn().fit(BYTES, Y)
        assert_array_equal(clf.predict_proba(dataset), same.predict_proba(BYTES))
        assert_array_equal(clf.predict_proba(BYTES), same.predict_proba(BYTES))
        assert_array_equal(
            cnn(validation_fraction=0.2).fit(dataset, Y).predict(dataset),
            cnn(validation_fraction=0.2).fit(BYTES, Y).predict(BYTES),
        )

    @pytest.mark.parametrize(
        "strategy",
        [
            RandomSampling(),
            UncertaintySampling(),
            BADGE(),
            CoreSet("classifier"),
            CoreSet("input"),
            DGAL(tiny_vae(), n_candidates=40),
            BALD(2),
        ],
        ids=str,
    )
    def test_a_learner_answers_as_on_the_array(self, strategy):
        net = NetClassifier(module_params={"dropout": 0.3}, max_epochs=3, random_state=0)
        dataset = Drawn(BYTES)
        fitted, same = (
            ActiveLearner(net, strategy, n_queries=5, random_state=0).fit(X, PARTIAL)
            for X in (dataset, BYTES)
        )
        first, expected = fitted.query(), same.query()
        assert_array_equal(first, expected)
        assert_array_equal(fitted.query(dataset), first)
        assert fitted.score(dataset, Y) == same.score(BYTES, Y)
        for each in (fitted, same):
            each.teach(first, Y[first]).extend(BYTES[:3], Y[:3])
        assert_array_equal(fitted.query(), same.query())
        assert_array_equal(fitted.predict(Subset(dataset, range(9))), same.predict(BYTES[:9]))

    def test_only_labelled_rows_are_decoded_by_fit(self):
        dataset = Drawn(BYTES)
        learner = ActiveLearner(cnn(max_epochs=1), RandomSampling(), random_state=0).fit(dataset, PARTIAL)
        assert dataset.n_decoded <= 60 + 5
        learner.query()
        learner.query(dataset)
        assert dataset.n_decoded <= 60 + 5

    def test_known_by_a_key(self):
        pool = DatasetPool(Drawn(BYTES), key="digits")
        fitted = ActiveLearner(cnn(max_epochs=1), RandomSampling(), n_queries=200, random_state=0).fit(
            pool, PARTIAL
        )
        assert_array_equal(fitted.query(DatasetPool(Drawn(BYTES.copy()), key="digits")), fitted.query())
        assert fitted.query(DatasetPool(Drawn(BYTES), key="others")).max() > 0
        assert len(np.intersect1d(fitted.query(), np.arange(60))) == 0
        assert len(np.intersect1d(fitted.query(Drawn(BYTES)), np.arange(60))) > 0  # nobody knows it

    def test_workers_and_rows_of_unequal_shape(self):
        pool = DatasetPool(Drawn(BYTES), num_workers=1)
        assert_array_equal(pool.read(np.array([5, 3, 299])), BYTES[[5, 3, 299]])
        with pytest.raises(ValueError, match=r"shapes.*Resize"):
            DatasetPool(Drawn([BYTES[0], BYTES[1, :, 1:]])).read(slice(None))

    def test_nan_is_refused_when_it_is_decoded(self):
        fitted, holes = cnn().fit(FLOATS, Y), FLOATS.copy()
        holes[270, 0, 3, 3] = np.nan
        with pytest.raises(ValueError, match="Input X contains NaN"):
            fitted.predict(TensorDataset(torch.tensor(holes)))
        with pytest.raises(ValueError, match="Input X contains NaN"):
            cnn().fit(TensorDataset(torch.tensor(holes)), Y)

    def test_cross_validation(self):
        dataset = TensorDataset(torch.tensor(FLOATS), torch.tensor(Y))
        net = NetClassifier(max_epochs=20, random_state=0)
        held_out = cross_val_predict(net, SliceDataset(dataset, idx=0), Y, cv=3)
        assert_array_equal(held_out, cross_val_predict(net, FLOATS, Y, cv=3))

    def test_mappings_in_a_dataset(self):
        class Tokenized(Dataset):
            def __len__(self):
                return 240

            def __getitem__(self, index):
                return {name: array[index] for name, array in MAPPING.items()}

        clf = reader().fit(Tokenized(), TOPIC)
        assert_array_equal(clf.predict_proba(MAPPING), reader().fit(MAPPING, TOPIC).predict_proba(MAPPING))
        learner = ActiveLearner(reader(max_epochs=3), BADGE(), n_queries=4).fit(Tokenized(), TOPIC_PARTIAL)
        assert len(learner.query()) == 4

    def test_mappings_of_a_dataset_are_read_as_mappings_are(self):
        class Pairs(Dataset):
            def __len__(self):
                return 20

            def __getitem__(self, index):
                return {"pixels": BYTES[index].ravel(), "number": np.int64(index)}

        pairs, arrays = Pairs(), {"pixels": BYTES[:20].reshape(20, -1), "number": np.arange(20)}
        for X, other in ((pairs, arrays), (arrays, pairs)):
            clf = NetClassifier(FirstPixel, max_epochs=1).fit(X, Y[:20])
            assert (clf.dtype_, clf.scale_, clf.takes_bytes_) == (torch.float32, None, False)
            assert_array_equal(clf.predict(X), clf.predict(other))

    def test_another_shape_of_images_is_refused_as_in_arrays(self):
        clf = cnn(max_epochs=1).fit(TensorDataset(torch.tensor(FLOATS)), Y)
        wide = FLOATS[:3].reshape(3, 1, 4, 16)
        for X in (TensorDataset(torch.tensor(wide)), DatasetPool(TensorDataset(torch.tensor(wide))), wide):
            with pytest.raises(ValueError, match=r"rows of shape \(1, 4, 16\).*reshape X"):
                clf.predict(X)

    @pytest.mark.parametrize("y", [None, np.where(Y == 3, np.nan, Y)], ids=["none", "NaN"])
    def test_labels_are_checked_as_with_arrays(self, y):
        for X in (FLOATS, TensorDataset(torch.tensor(FLOATS))):
            with pytest.raises(ValueError, match=r"y contains NaN|requires y to be passed"):
                cnn().fit(X, y)


class FirstPixel(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(1, 10)

    def forward(self, pixels, number):
        return self.layer(pixels[:, :1].float())


@pytest.mark.parametrize("rows", [MAPPING, TOKENS], ids=["mapping", "array"])
@pytest.mark.parametrize("kind", [tiny_wasserstein, LearningLossClassifier])
def test_networks_with_more_modules_are_saved_and_loaded(kind, rows, tmp_path):
    """The width of what a critic or a predictor of losses reads is told by a row."""
    params = {"max_epochs": 2, "random_state": 0}
    fitted = kind(architecture=Reader, **params).fit(rows, TOPIC)
    fitted.save(tmp_path / "net")
    loaded = type(fitted).load(tmp_path / "net", architecture=Reader)
    asked = "critic_scores" if kind is tiny_wasserstein else "predicted_loss"
    assert_array_equal(getattr(loaded, asked)(rows), getattr(fitted, asked)(rows))
    planned = ActiveLearner(kind(architecture=Reader, **params), RandomSampling(), random_state=0)
    learner = clone(planned).fit(rows, TOPIC_PARTIAL)
    learner.save(tmp_path / "learner")
    assert_array_equal(ActiveLearner.load(tmp_path / "learner", rows, planned).labels_, learner.labels_)


@pytest.mark.parametrize(
    "arrays",
    [{}, 3, {"input_ids": 3}, {"input_ids": [[1, 2**40], "int64"]}, {"input_ids": [[1, 12], "load"]}],
    ids=str,
)
def test_files_whose_rows_are_none(arrays, tmp_path):
    LearningLossClassifier(Reader, max_epochs=1, random_state=0).fit(MAPPING, TOPIC).save(tmp_path / "net")
    tensors, content = read_file(tmp_path / "net")
    write_file(tmp_path / "net", tensors, content | {"arrays": arrays})
    with pytest.raises(ModelFileError):
        LearningLossClassifier.load(tmp_path / "net", architecture=Reader)

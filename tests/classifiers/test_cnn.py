import numpy as np
import pytest
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

from skal.classifiers import CNNClassifier
from skal.nets import ARCHITECTURES, DigitsNet, LeNet

from ..networks import same_weights

IMAGES, DIGITS = load_digits(return_X_y=True)


IMAGES = IMAGES[:200].astype(np.float32).reshape(-1, 1, 8, 8)


DIGITS = DIGITS[:200]


def test_gray_images_need_no_channel_axis():
    with_axis = CNNClassifier(max_epochs=1, random_state=0).fit(IMAGES, DIGITS)
    without = CNNClassifier(max_epochs=1, random_state=0).fit(IMAGES[:, 0], DIGITS)
    assert same_weights(with_axis, without)
    np.testing.assert_array_equal(without.predict_proba(IMAGES), with_axis.predict_proba(IMAGES[:, 0]))


def test_a_prepared_layout_does_not_change_the_answer():
    clf = CNNClassifier(max_epochs=1, random_state=0).fit(IMAGES, DIGITS)
    expected = clf.predict_proba(IMAGES)
    last_axis = np.ascontiguousarray(IMAGES.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2)
    np.testing.assert_allclose(clf.predict_proba(last_axis), expected, rtol=1e-5)
    np.testing.assert_array_equal(clf.predict_proba(IMAGES[::-1])[::-1].argmax(1), expected.argmax(1))


@pytest.mark.parametrize("architecture", ["digits", "lenet", "lenet_waal"])
def test_embedding_of_the_cnns(architecture):
    images = np.kron(IMAGES, np.ones((2, 2), np.float32))
    clf = CNNClassifier(architecture, max_epochs=1, random_state=0).fit(images, DIGITS)
    images = np.concatenate([images, images])
    calls = []
    clf.module_.features.register_forward_hook(lambda *_: calls.append(1))
    embeddings, probabilities = clf.embed_and_predict_proba(images)
    assert len(calls) == 4, "400 images are four blocks of up to 128, each run once"
    head = clf.module_.head
    with torch.no_grad():
        logits = torch.from_numpy(embeddings) @ head.weight.T + head.bias
    np.testing.assert_allclose(probabilities, logits.softmax(1).numpy(), rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(probabilities, clf.predict_proba(images))


def test_rows_of_another_shape_are_refused_in_prediction():
    clf = CNNClassifier(max_epochs=1, random_state=0).fit(IMAGES, DIGITS)
    with pytest.raises(ValueError, match=r"X has rows of shape \(1, 4, 16\)"):
        clf.predict(IMAGES.reshape(-1, 1, 4, 16))
    with pytest.raises(ValueError, match="63 features"):
        clf.predict(IMAGES.reshape(200, 64)[:, :63])


@pytest.mark.parametrize(
    ("shape", "input_shape", "module"),
    [
        ((64,), (1, 8, 8), DigitsNet),
        ((3,), (1, 1, 3), DigitsNet),
        ((1,), (1, 1, 1), DigitsNet),
        ((784,), (1, 28, 28), LeNet),
        ((3, 32, 32), (3, 32, 32), LeNet),
        ((15, 40), (1, 15, 40), DigitsNet),
        ((16, 16), (1, 16, 16), LeNet),
    ],
)
def test_auto_architecture(shape, input_shape, module):
    rows = np.random.default_rng(0).random((4, *shape), dtype=np.float32)
    clf = CNNClassifier(max_epochs=1, random_state=0).fit(rows, [0, 1, 0, 1])
    assert clf.input_shape_ == input_shape
    assert type(clf.module_) is module
    assert clf.predict_proba(rows).shape == (4, 2)


def test_named_and_own_architectures():
    for name, module in ARCHITECTURES.items():
        size = 32 if name == "vgg16_bn" else 16  # the smallest that it takes
        rows = np.zeros((2, size, size), np.float32)
        assert type(CNNClassifier(name, max_epochs=1).fit(rows, [0, 1]).module_) is module
    own = CNNClassifier(LeNet, module_params={"dropout": 0.1}, max_epochs=1).fit(IMAGES, DIGITS)
    assert own.module_.hidden[-1].p == 0.1
    with pytest.raises(ValueError, match="'architecture' parameter of CNNClassifier"):
        CNNClassifier("vgg").fit(IMAGES, DIGITS)


def test_cnn_learns_digits():
    rows, y = load_digits(return_X_y=True)
    labelled, test, y_labelled, y_test = train_test_split(
        rows.astype(np.float32), y, train_size=300, stratify=y, random_state=0
    )
    assert CNNClassifier(max_epochs=20, random_state=0).fit(labelled, y_labelled).score(test, y_test) > 0.94

"""The last linear layer of every kind of classifier predicts what the classifier does."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, RidgeClassifier, SGDClassifier
from sklearn.naive_bayes import GaussianNB
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC, LinearSVC
from skorch import NeuralNetClassifier
from torch import nn

from skal.access import embed, linear_head, provides
from skal.classifiers import NetClassifier

RNG = np.random.default_rng(0)
X = RNG.normal(size=(600, 6)).astype(np.float32)
TRUTH = np.digitize(X[:, 0] + X[:, 1] + 0.3 * RNG.normal(size=600), [-0.7, 0.7])
LABELS = np.array(["a", "b", "c"])


@pytest.mark.parametrize("n_classes", [2, 3])
@pytest.mark.parametrize(
    "classifier",
    [
        LogisticRegression(),
        RidgeClassifier(),
        LinearSVC(),
        SVC(kernel="linear"),
        SGDClassifier(random_state=0),
        MLPClassifier((5,), tol=0.1, n_iter_no_change=2, random_state=0),
        make_pipeline(StandardScaler(), FrozenEstimator(LogisticRegression())),
        NetClassifier(module_params={"hidden": (5,)}, max_epochs=3, random_state=0),
        NeuralNetClassifier(
            nn.Sequential(nn.Linear(6, 5), nn.ReLU(), nn.Linear(5, 3)),
            criterion=nn.CrossEntropyLoss,
            max_epochs=1,
            verbose=0,
        ),
    ],
    ids=lambda classifier: type(classifier).__name__,
)
def test_the_head_predicts_from_embeddings(classifier, n_classes):
    y = np.minimum(TRUTH, n_classes - 1)
    y = y.astype(np.int64) if isinstance(classifier, NeuralNetClassifier) else LABELS[y]
    if hasattr(classifier, "steps"):
        scaled = StandardScaler().fit(X)
        frozen = FrozenEstimator(LogisticRegression().fit(scaled.transform(X), y))
        classifier = make_pipeline(scaled, frozen)
    else:
        assert provides(classifier, "linear_head")
        classifier.fit(X, y)
    if isinstance(classifier, SVC) and n_classes == 3:  # it compares pairs of classes
        assert not provides(classifier, "linear_head")
        return
    weights, intercepts = linear_head(classifier)
    values = embed(classifier, X).astype(float) @ weights.T + intercepts
    assert values.shape[1] == (3 if isinstance(classifier, NeuralNetClassifier) else n_classes)
    known = LABELS if not isinstance(classifier, NeuralNetClassifier) else np.arange(3)
    assert (known[values.argmax(axis=1)] == classifier.predict(X)).mean() > 0.995


def test_sparse_weights():
    classifier = LogisticRegression().fit(X, TRUTH)
    dense = linear_head(classifier)[0]
    assert_array_equal(linear_head(classifier.sparsify())[0], dense)
    assert sparse.issparse(classifier.coef_)


def test_a_classifier_without_one():
    with pytest.raises(TypeError, match="last linear layer and GaussianNB has none"):
        linear_head(GaussianNB().fit(X, TRUTH))

import numpy as np
import torch
from sklearn.datasets import make_blobs
from sklearn.linear_model import LogisticRegression

from skal.classifiers import LinearClassifier

X, Y = make_blobs(90, n_features=6, centers=3, cluster_std=3.0, random_state=0)


def test_linear_classifier_reaches_the_optimum_of_its_loss():
    penalty = 1.0
    clf = LinearClassifier(
        optimizer=torch.optim.SGD,
        optimizer_params={"weight_decay": penalty},
        lr=0.02,
        batch_size=90,
        max_epochs=700,
    ).fit(X, Y)
    # Gradient descent with weight decay minimises mean loss + penalty / 2 |w|^2, here with the biases in w.
    with_bias = np.hstack([X, np.ones((90, 1))])
    exact = LogisticRegression(C=1 / (penalty * 90), fit_intercept=False, tol=1e-10, max_iter=10_000)
    exact.fit(with_bias, Y)
    np.testing.assert_allclose(clf.predict_proba(X), exact.predict_proba(with_bias), atol=1e-5)

"""What all estimators with networks do around a training."""

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError
from sklearn.utils.validation import check_is_fitted
from skorch.callbacks import Callback

from skal.classifiers import LinearClassifier
from skal.generators import base

from ..networks import X, tiny_acgan, tiny_autoencoder, tiny_gan, tiny_vaal, tiny_vae

FRAME = pd.DataFrame(X, columns=["a", "b", "c"])
y = np.arange(len(X)) % 2
MAKERS = [
    lambda: LinearClassifier(max_epochs=1, random_state=0),
    tiny_vaal,
    tiny_acgan,
    tiny_gan,
    tiny_autoencoder,
]
each_estimator = pytest.mark.parametrize("make", MAKERS)


@each_estimator
@pytest.mark.parametrize("fitted_on", [FRAME, X])
def test_a_fit_that_fails_leaves_the_features_of_the_last(make, fitted_on):
    estimator = make().fit(fitted_on, y)
    before = dict(vars(estimator))
    estimator.callbacks = [1]
    for others in (FRAME[["b", "a", "c"]], FRAME[["a", "b"]], X[:, :2]):
        with pytest.raises(TypeError, match="callbacks"):
            estimator.fit(others, y)
        assert vars(estimator) == {**before, "callbacks": [1]}
    estimator.set_params(callbacks=None).fit(FRAME[["c", "a"]], y)
    assert estimator.feature_names_in_.tolist() == ["c", "a"]


@each_estimator
def test_a_first_fit_that_fails_leaves_nothing(make):
    estimator = make().set_params(callbacks=[1])
    with pytest.raises(TypeError, match="callbacks"):
        estimator.fit(FRAME, y)
    with pytest.raises(NotFittedError):
        check_is_fitted(estimator)


def test_what_an_interrupt_leaves_is_of_the_new_rows(monkeypatch):
    estimator = tiny_vae().fit(FRAME)

    def interrupt(net):
        raise KeyboardInterrupt

    monkeypatch.setattr(base, "raise_interrupt", interrupt)
    with pytest.raises(KeyboardInterrupt):
        estimator.fit(FRAME[["b", "a"]])
    assert estimator.feature_names_in_.tolist() == ["b", "a"]
    assert estimator.transform(FRAME[["b", "a"]]).shape == (60, 2)


@each_estimator
@pytest.mark.parametrize("given", [1, "stop", ("stop", 1), ()])
def test_what_is_no_callback_is_refused(make, given):
    with pytest.raises(TypeError, match="give callbacks of skorch, or pairs"):
        make().set_params(callbacks=[Callback(), given]).fit(X, y)

"""The full settings of the papers: each has a trial, and the quick ones learn."""

import numpy as np
import pytest
from sklearn.base import clone

from skal.classifiers.base import BaseNetClassifier
from skal.classifiers.scales import resolve_scale


def test_every_full_setting_has_a_trial(scripts):
    """Beside those that share theirs: attributes of CelebA, and small images at 32x32 pixels."""
    smoke = scripts["smoke"]
    shared = {f"asal-celeba-{name}" for name in ("wearing_hat", "bangs", "eyeglasses")}
    shared |= {"alcg-stl10", "alcg-tiny-imagenet"}
    names = {
        f"{script}-{name}"
        for script in ("asal", "dgal", "waal", "alcg")
        for name in scripts[script].EXPERIMENTS
    }
    assert names == smoke.SHAPES.keys() | shared
    every = smoke.cases()
    for name in smoke.SHAPES:
        assert any(key.startswith(name) for key in every), name
    for make in every.values():  # a learner trains copies
        learner, (X, y, X_test, y_test) = make()
        classifier = clone(learner).estimator
        assert type(classifier) is type(learner.estimator)
        if isinstance(classifier, BaseNetClassifier):  # the networks take images of that shape
            resolve_scale(classifier.scale, X, X.shape[1:])
        assert set(y) == set(y_test)
        assert X.dtype == np.uint8
        assert learner.budget <= len(X)
        assert len(X_test) == len(y_test) > 150


@pytest.mark.parametrize("name", ["asal-mnist-two", "asal-cifar-two", "asal-mnist-ten"])
def test_full_settings_learn(scripts, name):
    """The quick ones; the script tries all of them."""
    accuracy, wanted = scripts["smoke"].run(scripts["smoke"].cases()[name])
    assert accuracy > wanted


def test_a_setting_at_chance_is_told(scripts, monkeypatch, capsys):
    smoke = scripts["smoke"]
    answers = iter([0.1, np.nan])
    monkeypatch.setattr(smoke, "run", lambda make: (next(answers), 0.3))
    with pytest.raises(SystemExit, match="no better than chance: asal-mnist-two, asal-mnist-ten"):
        smoke.main(["asal-mnist"])
    assert "asal-mnist-two: 10.0 %, FAILED" in (printed := capsys.readouterr().out)
    assert "asal-mnist-ten: nan %, FAILED" in printed

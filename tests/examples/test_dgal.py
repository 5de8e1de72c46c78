"""DGAL's experiments on a few digits: they run to their tables and figures, and continue where they were."""

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

from skal import SimulatedLearner
from skal.strategies import DGAL, RandomSampling


def test_one_graph_serves_all_strategies_and_stays_as_it_was(scripts, digits):
    dgal, (X, y) = scripts["dgal"], digits["train"]

    class Flat:
        def transform(self, X):
            return X.reshape(len(X), -1) / 255

    encoder = dgal.FrozenEstimator(dgal.Remembered(Flat()).fit())
    params = {"n_candidates": 30, "criterion": RandomSampling(), "random_state": 0}
    alone = DGAL(encoder, **params).fit(X)
    first, second = (dgal.OneGraph(encoder, **params).fit(X) for _ in range(2))
    labels = np.full(len(X), -1)
    labels[:20] = y[:20]
    for n_labeled in (20, 40):
        labels[:n_labeled] = y[:n_labeled]
        first.query(X, labels, 5)
    labels[20:] = -1
    expected = alone.query(X, labels, 5)
    assert_array_equal(second.query(X, labels, 5), expected)
    assert second.query_report_.n_updated == alone.query_report_.n_updated


def test_dgal_trains_until_its_loss_converges(scripts, digits):
    """With the paper's settings but twice the learning rate, on five digits. A loss with dropout stays at chance."""
    dgal = scripts["dgal"]
    (X, y), (X_test, y_test) = (
        (X[y < 5], y[y < 5]) for X, y in (digits[split] for split in ("train", "test"))
    )
    classifier = dgal.make_classifier("random", dgal.EXPERIMENTS["mnist"], None, is_quick=False)
    classifier = clone(classifier).set_params(lr=2e-3, random_state=0).fit(X, y)
    losses = np.array(classifier.net_.history[:, "converging_loss"])
    shares = classifier.predict_proba(X)[np.arange(len(y)), y]
    assert_allclose(losses[-1], -np.log(shares.astype(float)).mean(), rtol=1e-5)
    assert 10 < len(losses) < classifier.max_epochs
    assert losses[-10:].min() > losses[:-10].min() * (1 - 1e-3)
    assert classifier.score(X_test, y_test) > 0.6


def test_dgal_runs_every_method_once(scripts, digits, tmp_path, monkeypatch):
    read_arrays = scripts["_experiments"].read_arrays
    dgal = scripts["dgal"]
    tiny = replace(
        dgal.EXPERIMENTS["mnist"], load=digits.get, n_rounds=2, n_initial=12, n_queries=4, n_candidates=40
    )
    monkeypatch.setitem(dgal.EXPERIMENTS, "mnist", tiny)
    make_classifier = dgal.make_classifier
    monkeypatch.setattr(
        dgal, "make_classifier", lambda *args: make_classifier(*args).set_params(max_epochs=2)
    )
    monkeypatch.setattr(dgal, "make_vae", lambda *_: dgal.VAE(5, max_epochs=1))
    prepare, output = dgal.prepare, tmp_path / "mnist-quick"

    def prepare_late(*args):
        assert {"random-0.npz", "seals-0.npz"} <= {file.name for file in (output / "runs").iterdir()}
        return prepare(*args)

    monkeypatch.setattr(dgal, "prepare", prepare_late)  # methods without a VAE do not wait for it
    arguments = ["mnist", "--quick", "--seeds", "0", "--output", str(tmp_path)]
    dgal.main(arguments)
    runs = {method: read_arrays(output / "runs" / f"{method}-0.npz") for method in dgal.METHODS}
    for run in runs.values():
        assert_array_equal(run["n_labeled"], [12, 16, 20])
        assert_array_equal(run["labeled_rows"][:12], runs["random"]["labeled_rows"][:12])
    lines = (output / "tables.md").read_text().splitlines()
    assert lines[0].startswith("| method | accuracy at 16 ")
    for method, run in runs.items():
        (row,) = (line for line in lines if line.startswith(f"| {method} |"))
        assert f"{100 * run['score'][-1]:.2f} [" in row
    assert {"curves.png", "unreached.png", "queried-VAE.png", "queried-network.png"} <= {
        file.name for file in output.iterdir()
    }

    monkeypatch.setattr(SimulatedLearner, "fit", lambda *_, **__: pytest.fail("a run was made again"))
    monkeypatch.setattr(dgal, "draw", lambda *_: {})
    dgal.main([*arguments, "--vae", str(output / "vae.skal")])


def test_a_pretrained_classifier_needs_its_weights(scripts, capsys):
    with pytest.raises(SystemExit):
        scripts["dgal"].main(["cifar10"])
    assert "give --weights FILE" in capsys.readouterr().err


def test_the_resnet18_of_quick_learns_some_rows(scripts, capsys):
    dgal = scripts["dgal"]
    experiment = dgal.quick(dgal.EXPERIMENTS["cifar10"], with_resnet18=True)
    assert experiment.budget < experiment.n_rows < 10_000
    classifier = dgal.make_classifier("rsmg", experiment, None, is_quick=True)
    assert classifier.architecture == "resnet18"
    assert "weights" not in (classifier.module_params or {})
    with pytest.raises(SystemExit):
        dgal.main(["cifar10", "--resnet18"])
    assert "--resnet18 is a network of --quick" in capsys.readouterr().err


def test_dgal_early_varies_one_thing_at_a_time(scripts, digits, tmp_path, monkeypatch):
    dgal, early = scripts["dgal"], scripts["_dgal_early"]
    vae = dgal.VAE(3, max_epochs=1, random_state=0).fit(digits["train"][0])
    vae.save(tmp_path / "vae.skal")
    monkeypatch.setattr(early.datasets, "load_mnist", lambda split="train", return_X_y=True: digits[split])
    monkeypatch.setattr(early, "N_COMPONENTS", 20)
    monkeypatch.setattr(early, "N_ROUNDS", 2)
    kept = (early.PLAIN, "K 5", "cosine distance", "300 candidates")
    monkeypatch.setattr(early, "VARIED", {name: early.VARIED[name] for name in kept})
    arguments = ["early", "--quick", "--seeds", "0", "1", "--vae", str(tmp_path / "vae.skal")]
    dgal.main([*arguments, "--output", str(tmp_path), "--results", str(tmp_path)])
    numbers = json.loads((tmp_path / "dgal-early-quick.json").read_text())["numbers"]
    assert {name for name in numbers if name.endswith("gain")} == {
        f"{space}, {name}: gain" for space in ("VAE", "PCA") for name in kept
    }
    # 300 candidates are all rows there are: DGMG and RSMG are margin sampling then.
    for space in ("VAE", "PCA"):
        assert_allclose(numbers[f"{space}, 300 candidates: gain"], [0, 0], atol=1e-3)
    assert numbers["margin"] == pytest.approx(numbers["RSMG, 300 candidates"])
    table = (tmp_path / "early-quick" / "tables.md").read_text()
    assert all(f"| {name} |" in table for name in kept)
    monkeypatch.setattr(early, "SimulatedLearner", None)  # what is kept is not run again
    dgal.main([*arguments, "--output", str(tmp_path), "--results", str(tmp_path)])
    assert json.loads((tmp_path / "dgal-early-quick.json").read_text())["numbers"] == numbers

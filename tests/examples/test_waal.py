"""WAAL's experiments on a few digits: they run to their tables and figures, and continue where they were."""

import copy
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.base import clone

from skal import SimulatedLearner


def test_waal_runs_to_its_tables(scripts, digits, tmp_path, monkeypatch):
    read_arrays = scripts["_experiments"].read_arrays
    waal = scripts["waal"]
    tiny = replace(
        waal.EXPERIMENTS["svhn"],
        load=digits.get,
        architecture="lenet_waal",
        n_initial=20,
        n_queries=10,
        n_rounds=1,
        n_epochs=1,
        n_plain_epochs=4,
        n_deepfool=30,
    )
    assert tiny.load("train")[0].shape == (200, 1, 16, 16)
    monkeypatch.setitem(waal.EXPERIMENTS, "svhn", tiny)
    monkeypatch.setattr(waal, "quick", lambda experiment: replace(experiment, n_seeds=2))
    for module, table in (("TABLES", "svhn"), ("H_TABLES", "svhn")):
        first = getattr(waal, module)[table][1000]
        monkeypatch.setitem(getattr(waal, module), table, {20: first})
    methods = [*waal.METHODS, "learning-loss", "plain-steps-random", "waal-random", "h-margin"]
    arguments = ["svhn", "--quick", "--methods", *methods, "--output", str(tmp_path)]
    waal.main([*arguments, "--seeds", "0"])
    waal.main([*arguments, "--seeds", "1", "--parts", "initial"])
    output = tmp_path / "svhn-quick"
    initial, rounds, times = (
        (output / f"{part}.md").read_text().splitlines()[2:] for part in ("initial", "rounds", "times")
    )

    for kind, paper in zip(
        ("plain", "plain-steps", "waal", "h"), ("63.97±2.04", "", "75.18±1.41", "68.34±0.96"), strict=True
    ):
        runs = [read_arrays(output / "runs" / f"initial-{kind}-{seed}.npz") for seed in (0, 1)]
        scores = [100 * run["score"].item() for run in runs]
        mean, std = np.mean(scores), abs(scores[0] - scores[1]) / np.sqrt(2)
        (row,) = (line for line in initial if line.startswith(f"| {kind} |"))
        assert row.startswith(f"| {kind} | {mean:.2f} ± {std:.2f} | {paper} |")

    runs = {method: read_arrays(output / "runs" / f"{method}-0.npz") for method in methods}
    for run in runs.values():
        assert_array_equal(run["n_labeled"], [20, 30])
        assert_array_equal(run["labeled_rows"][:20], runs["random"]["labeled_rows"][:20])
    assert rounds[0] == f"| labels | {' | '.join(methods)} |"
    cells = dict(zip(methods, rounds[2].strip("| ").split(" | ")[1:], strict=True))
    assert cells["margin"] == f"{100 * runs['margin']['score'][0]:.2f} ± 0.00 (63.10±2.3)"
    assert cells["h-margin"] == f"{100 * runs['h-margin']['score'][0]:.2f} ± 0.00 (68.88±1.19)"
    assert cells["waal-random"] == f"{100 * runs['waal-random']['score'][0]:.2f} ± 0.00"
    assert [line.split(" | ")[0][2:] for line in times[2:12]] == [*waal.METHODS, "learning-loss"]
    assert times[-1].startswith("The least of up to three queries.")
    assert "times its seconds for 30 rows" in times[-1]
    assert (output / "curves.png").exists()

    monkeypatch.setattr(SimulatedLearner, "fit", lambda *_, **__: pytest.fail("a run was made again"))
    waal.main([*arguments, "--seeds", "0", "--parts", "rounds"])


def test_plain_training_with_as_many_steps(scripts, digits):
    """It is WAAL's training without the adversarial loss, batch by batch."""
    waal, (X, y) = scripts["waal"], digits["train"]
    labels = np.where(np.arange(len(y)) % 5 == 0, y, -1)
    experiment = replace(waal.EXPERIMENTS["fashion-mnist"], n_epochs=2)
    params = {"module_params": {"dropout": 0.0}, "lr": 0.1, "random_state": 0}
    ours, expected = (
        waal.make_classifier(kind, experiment).set_params(**params, mu=0).fit(X, labels)
        for kind in ("plain-steps", "waal")
    )
    for name, weight in expected.module_.state_dict().items():
        torch.testing.assert_close(ours.module_.state_dict()[name], weight, msg=name)
    fewer = waal.make_classifier("plain", replace(experiment, n_plain_epochs=2)).set_params(**params)
    assert not np.allclose(fewer.fit(X[::5], y[::5]).predict_proba(X), ours.predict_proba(X), atol=1e-3)


@pytest.mark.parametrize("kind", ["plain", "waal", "h"])
def test_waal_keeps_the_epoch_that_is_best_on_rows_held_out(scripts, digits, kind):
    waal, (X, y), (X_held, y_held) = scripts["waal"], digits["train"], digits["validation"]
    labels = np.where(np.arange(len(y)) % 5 == 0, y, -1) if kind != "plain" else y
    experiment = replace(waal.EXPERIMENTS["fashion-mnist"], n_epochs=30, n_plain_epochs=30)
    params = {"module_params": {"dropout": 0.0}, "random_state": 0, "lr": 0.1}
    classifier = (
        waal.make_classifier(kind, experiment, digits["validation"]).set_params(**params).fit(X, labels)
    )
    accuracies = classifier.net_.history[:, "held_out_accuracy"]
    assert len(accuracies) == 30
    assert classifier.score(X_held, y_held) == pytest.approx(max(accuracies))
    assert max(accuracies) > max(0.3, accuracies[0])
    copied = classifier.get_params()["callbacks"][-1][1]
    assert copy.deepcopy(copied).X is clone(copied).X is copied.X is X_held


def test_stl10_is_split_as_in_the_paper(scripts, monkeypatch):
    labels = np.tile(np.arange(2), 1300)
    parts = {"train": (np.arange(1000), labels[:1000]), "test": (np.arange(1000, 2600), labels[1000:])}
    waal = scripts["waal"]
    monkeypatch.setattr(waal.datasets, "load_stl10", lambda split, return_X_y: parts[split])
    (train, y_train), (held_out, y_held_out), (test, y_test) = map(
        waal.stl10, ("train", "validation", "test")
    )
    assert_array_equal(np.bincount(y_train), [800, 800])
    assert_array_equal(np.bincount(y_held_out), [100, 100])
    assert_array_equal(np.bincount(y_test), [400, 400])
    assert len(np.unique(np.concatenate([train, held_out, test]))) == 2600
    assert_array_equal(train % 2, y_train)

"""ALCG's experiments on a few digits: they run to their tables and figures, and go on where they were."""

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skal import SimulatedLearner
from skal.classifiers import CNNClassifier


def test_alcg_runs_to_its_tables(scripts, digits, tmp_path, monkeypatch):
    read_arrays = scripts["_experiments"].read_arrays
    alcg, settings = scripts["alcg"], scripts["_alcg_settings"]
    narrow = {"generator_params": {"channels": (8, 4, 2)}, "critic_params": {"channels": (2, 4, 8)}}
    tiny = {"n_initial": 60, "n_queries": 20, "n_rounds": 1, "n_iter": 3, "n_samples": 40, "n_seeds": 2}
    tiny |= {"gan": narrow | {"n_latent": 4, "batch_size": 16}}
    small_judge = settings.judge("lenet_waal", 3, module_params={"dropout": 0.0})
    experiment = replace(alcg.EXPERIMENTS["mnist"], load=digits.get, judge=small_judge)
    monkeypatch.setitem(alcg.EXPERIMENTS, "mnist", experiment)
    monkeypatch.setattr(settings, "QUICK", tiny)
    arguments = ["mnist", "--quick", "--parts", "rounds", "--output", str(tmp_path)]
    rest = [*arguments, "--bases", "dcgan", "--methods", "alcg"]
    with monkeypatch.context() as undrawn:
        for draw in ("draw_curves", "draw_samples"):
            undrawn.setattr(alcg, draw, lambda *_: None)
        alcg.main([*arguments, "--bases", "dcgan", "--seeds", "0"])
        alcg.main([*arguments, "--bases", "wgan_gp", "--methods", "rand", "alcg", "--seeds", "1"])
        alcg.main([*rest, "--seeds", "1"])
    alcg.main([*rest, "--seeds", "0", "--scratch"])

    output = tmp_path / "mnist-quick"
    runs = {file.stem: read_arrays(file) for file in (output / "runs").iterdir()}
    assert len(runs) == 6 + 2 + 1 + 1
    first = {name[-1]: run["labeled_rows"][:60] for name, run in runs.items()}
    assert not np.array_equal(first["0"], first["1"])
    _, y = digits["train"]
    for name, run in runs.items():
        assert_array_equal(run["n_labeled"], [60, 80])
        assert_array_equal(run["labeled_rows"][:60], first[name[-1]])
        assert_array_equal(run["class_counts"][1], np.bincount(y[run["labeled_rows"]]))
        assert run["samples"].shape == (80, 1, 16, 16)
        assert run["samples"].dtype == np.uint8
        assert_allclose(run["class_shares"].sum(), 1, rtol=1e-6)
    # Until the first query only the candidates make a difference.
    before = {
        method: runs[f"dcgan-{method}-0"]["score_classifier_frechet_distance"][0] for method in alcg.METHODS
    }
    assert (
        before["rand"]
        == before["cs-mc"]
        == before["cs-lm"]
        == before["cs-le"]
        != before["as"]
        == before["alcg"]
    )

    # Training anew makes one after it.
    warm, anew = (
        runs[f"dcgan-{name}-0"]["score_classifier_frechet_distance"] for name in ("alcg", "alcg-scratch")
    )
    assert_array_equal(warm == anew, [True, False])

    sections = (output / "tables.md").read_text().split("\n## ")
    assert [section.splitlines()[0] for section in sections[1:]] == ["AC-DCGAN", "AC-WGAN-GP"]
    rows = {
        section.splitlines()[0]: [
            line.strip("| ").split(" | ") for line in section.splitlines() if "|" in line
        ]
        for section in sections
    }
    for n_row, name, scale in (
        (0, "gan_test_accuracy", 100),
        (1, "classifier_frechet_distance", 1),
        (2, "classifier_inception_score", 1),
        (3, "accuracy", 100),
    ):
        both = [scale * runs[f"dcgan-alcg-{seed}"][f"score_{name}"] for seed in (0, 1)]
        mean, std = np.mean(both, axis=0), abs(both[0] - both[1]) / np.sqrt(2)
        cells = [row for row in rows["AC-DCGAN"] if row[0] == "alcg"][n_row]
        assert cells[1:] == [f"{mean[turn]:.2f} ± {std[turn]:.2f}" for turn in (0, 1)]
        alone = scale * runs["wgan_gp-rand-1"][f"score_{name}"]
        cells = [row for row in rows["AC-WGAN-GP"] if row[0] == "rand"][n_row]
        assert cells[1:] == [f"{value:.2f} ± 0.00" for value in alone]
    queried = np.bincount(y[runs["dcgan-as-0"]["labeled_rows"][60:]], minlength=10)
    assert ["as", "queried, to 80", *(f"{5 * count:.1f}" for count in queried)] in rows["AC-DCGAN"]
    shares = (f"{100 * share:.1f}" for share in runs["wgan_gp-alcg-1"]["class_shares"])
    assert ["alcg", "kept in the last steps", *shares] in rows["AC-WGAN-GP"]
    assert [row[0] for row in rows["AC-DCGAN"] if row[1:2] == ["queried, to 80"]] == [
        *alcg.METHODS,
        "alcg-scratch",
    ]

    judge = CNNClassifier.load(output / "judge.skal", architecture=small_judge.architecture, callbacks=None)
    assert f"real test rows: {100 * judge.score(*alcg.some(digits['test'], 40)):.2f}" in sections[1]
    assert f"on all test rows is {100 * judge.score(*digits['test']):.2f} %" in sections[0]
    assert {"curves.png", "samples-dcgan.png", "samples-wgan_gp.png"} <= {
        file.name for file in output.iterdir()
    }

    monkeypatch.setattr(SimulatedLearner, "fit", lambda *_, **__: pytest.fail("a run was made again"))
    monkeypatch.setattr(alcg, "report", lambda _: "")
    alcg.main([*arguments, "--bases", "dcgan", "--seeds", "0"])


def test_alcg_varies_its_setting_and_draws_its_pictures(scripts, digits, tmp_path, monkeypatch):
    alcg, settings = scripts["alcg"], scripts["_alcg_settings"]
    tiny = {"n_initial": 60, "n_rounds": 1, "n_iter": 3, "n_samples": 40, "n_seeds": 1}
    tiny |= {"gan": settings.wide(8) | {"n_latent": 4, "batch_size": 16}}
    judge = settings.judge("lenet_waal", 30, module_params={"dropout": 0.0})
    monkeypatch.setitem(
        alcg.EXPERIMENTS, "mnist", replace(alcg.EXPERIMENTS["mnist"], load=digits.get, judge=judge)
    )
    monkeypatch.setattr(settings, "QUICK", tiny)
    monkeypatch.setattr(alcg, "SIZES", (80, 10_000))
    arguments = ["mnist", "--quick", "--bases", "dcgan", "--output", str(tmp_path / "runs")]
    arguments += ["--results", str(tmp_path / "files")]
    alcg.main(
        [*arguments, "--parts", "rounds", "--methods", "cs-mc-balanced", "--labels", "70", "--steps", "2"]
    )
    result = json.loads((tmp_path / "files" / "alcg-mnist-quick-rounds-steps-2-labels-70.json").read_text())
    assert result["curves"]["dcgan-cs-mc-balanced"]["n_labeled"] == [70, 140]
    assert result["command"].endswith("--steps 2 --labels 70 --seeds 0")
    assert (tmp_path / "runs" / "steps-2" / "labels-70" / "mnist-quick" / "tables.md").exists()

    alcg.main([*arguments, "--parts", "pictures", "--width", "16"])
    result = json.loads((tmp_path / "files" / "alcg-mnist-quick-pictures-width-16.json").read_text())
    assert result["curves"]["dcgan-pictures"]["n_labeled"] == [80, 200]
    shares = [
        result["numbers"][f"dcgan-pictures, recognized of {end} rows, %"][0]
        for end in ("uncertain", "certain")
    ]
    assert all(0 <= share <= 100 for share in shares)
    folder = tmp_path / "runs" / "width-16" / "mnist-quick"
    run = scripts["_experiments"].read_arrays(folder / "runs" / "dcgan-pictures-0.npz")
    assert run["samples"].shape == (2, 80, 1, 16, 16)
    assert run["uncertain"].shape == (6, 1, 16, 16)
    assert {"dcgan-pictures.png", "certainty-dcgan-pictures.png"} <= {file.name for file in folder.iterdir()}
    assert (tmp_path / "runs" / "mnist-quick" / "judge.skal").exists()  # once, whatever varies


def test_rows_are_sorted_by_certainty(scripts):
    class Sure:
        """Certain of large numbers, and right about the upper half."""

        def predict_proba(self, X):
            return np.column_stack([X[:, 0] / 200 + 0.5, 0.5 - X[:, 0] / 200])

        def score(self, X, y):
            return np.mean(X[:, 0] >= 50)

    X = np.random.default_rng(0).permutation(100)[:, None].astype(float)
    found = scripts["_alcg_pictures"].by_certainty(Sure(), Sure(), X, X[:, 0] >= 50)
    assert_array_equal(found["uncertain"][:, 0], np.arange(8))
    assert_array_equal(found["certain"][:, 0], 99 - np.arange(8))
    assert (found["uncertain_recognized"], found["certain_recognized"]) == (0, 1)


def test_ten_classes_of_tiny_imagenet(scripts, monkeypatch):
    alcg = scripts["_alcg_settings"]
    labels = np.tile(np.arange(200), 500)

    def load(subset, image_size, return_X_y):
        assert (len(set(subset)), image_size, return_X_y) == (10, 32, True)
        rows = np.flatnonzero(np.isin(labels, subset))
        return rows, labels[rows]

    monkeypatch.setattr(alcg.datasets, "load_tiny_imagenet", load)
    (train, y_train), (test, y_test) = (alcg.tiny_imagenet(split) for split in ("train", "test"))
    assert_array_equal(np.unique(y_train, return_counts=True)[1], [400] * 10)
    assert_array_equal(np.unique(y_test, return_counts=True)[1], [100] * 10)
    assert len(np.unique(np.concatenate([train, test]))) == 5000
    assert_array_equal(labels[train], y_train)

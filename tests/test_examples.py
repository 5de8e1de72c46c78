"""The experiments of the papers, on a few digits: they run to their tables and figures, and go on where they were.

The examples of texts, tables and photos run on a few rows.
"""

import copy
import importlib
import json
import runpy
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.datasets import load_digits

from skal import SimulatedLearner
from skal.classifiers import LinearClassifier
from skal.classifiers.base import BaseNetClassifier
from skal.classifiers.scales import resolve_scale
from skal.generators import AutoEncoder
from skal.strategies import DGAL, RandomSampling

from .networks import X as TABLE
from .networks import tiny_autoencoder, tiny_gan

pytest.importorskip("matplotlib")
FOLDER = Path(__file__).parents[1] / "examples" / "papers"


@pytest.fixture(scope="module")
def scripts():
    """The scripts by name, imported as they import each other: from their folder."""
    sys.path.insert(0, str(FOLDER))
    try:
        yield {
            name: importlib.import_module(name)
            for name in ("_experiments", "alcg", "asal", "dgal", "waal", "smoke")
        }
    finally:
        sys.path.remove(str(FOLDER))


@pytest.fixture(scope="module")
def digits():
    """Byte images of 16x16 pixels: 200 rows to label, 60 to test, 40 to stop early."""
    X, y = load_digits(return_X_y=True)
    X = np.kron(X.reshape(-1, 1, 8, 8), np.ones((2, 2)))[:300] * 15
    parts = {"train": slice(200), "test": slice(200, 260), "validation": slice(260, 300)}
    return {split: (X[rows].astype(np.uint8), y[:300][rows]) for split, rows in parts.items()}


def test_strategies_and_criteria_are_compared(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(FOLDER.parent))
    n_threads = torch.get_num_threads()
    try:
        for _ in range(2):  # the second time from what the first one kept
            arguments = ["--quick", "--folder", str(tmp_path), "--pools", "digits", "--settings", "few"]
            monkeypatch.setattr(sys, "argv", ["compare_strategies", *arguments])
            runpy.run_path(str(FOLDER.parent / "compare_strategies.py"), run_name="__main__")
        first, second = capsys.readouterr().out.split("digits, few labels: 2 repeats")[1:]
        assert [line.split()[0] for line in second.splitlines()[2:5]] == ["TypiClust", "margin", "random"]
        assert first.splitlines()[2:5] == second.splitlines()[2:5]
        monkeypatch.setattr(sys, "argv", ["compare_stopping", "--quick", "--pools", "digits"])
        runpy.run_path(str(FOLDER.parent / "compare_stopping.py"), run_name="__main__")
        assert "classification change     " in capsys.readouterr().out
        monkeypatch.setattr(sys, "argv", ["honest_estimate", "--quick", "--pools", "digits"])
        runpy.run_path(str(FOLDER.parent / "honest_estimate.py"), run_name="__main__")
        uniform, active = capsys.readouterr().out.splitlines()[1:]
        assert uniform.split()[:2] == ["digits", "uniform"]
        assert active.split()[:2] == ["digits", "active"]
    finally:
        torch.set_num_threads(n_threads)


@pytest.mark.parametrize("name", ["photos", "tabular", "texts"])
def test_examples_of_other_data_run_to_their_curves(name, tmp_path, monkeypatch, capsys):
    pytest.importorskip("pandas")
    picture = tmp_path / "curves.png"
    monkeypatch.setattr(sys, "argv", ["example", "--quick", "--output", str(picture)])
    n_threads = torch.get_num_threads()
    try:
        runpy.run_path(str(FOLDER.parent / f"plot_{name}.py"), run_name="__main__")
    finally:
        torch.set_num_threads(n_threads)
    printed = capsys.readouterr().out
    assert all(f"labels, {strategy:6}: " in printed for strategy in ("random", "BADGE"))
    assert picture.stat().st_size > 0


def test_images_are_labelled(tmp_path, monkeypatch, capsys):
    pytest.importorskip("starlette")
    output = tmp_path / "labels.csv"
    monkeypatch.setattr(sys, "argv", ["example", "--quick", "--output", str(output)])
    runpy.run_path(str(FOLDER.parent / "label_images.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert "60 of 150 rows are labelled" in printed
    assert [line.split()[0] for line in printed.splitlines()[-2:]] == ["page", "random"]
    names, *lines = output.read_text().splitlines()
    assert names == "item,row,label,probability,n_answers"
    assert len(lines) == 60
    assert all(line.split("/")[0] == line.split(",")[2] for line in lines)


def test_the_comparison_runs_to_its_pictures(tmp_path, monkeypatch, capsys):
    pytest.importorskip("pandas")
    picture = tmp_path / "comparison.png"
    monkeypatch.setattr(sys, "argv", ["example", "--quick", "--output", str(picture)])
    runpy.run_path(str(FOLDER.parent / "plot_comparison.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert "[simulate 6/6, " in printed
    assert "core set saved " in printed
    assert picture.stat().st_size > 0


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
    arguments = ["mnist", "--quick", "--seeds", "0", "--output", str(tmp_path)]
    dgal.main(arguments)
    output = tmp_path / "mnist-quick"
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


def test_asal_runs_to_its_tables(scripts, digits, tmp_path, monkeypatch):
    asal = scripts["asal"]
    changed = (
        "ASAL-Gray (DCGAN)",
        "ASAL-Autoencoder (5 components, generate 20)",
        "GAAL (DCGAN, min-distance)",
    )
    tiny = replace(
        asal.EXPERIMENTS["mnist-two"],
        load=digits.get,
        gan=asal.GAN(architecture="dense", n_iter=2, batch_size=16),
        gans={"DCGAN": asal.GAN("dcgan", architecture="dense", n_iter=3, batch_size=16), "unused": None},
        autoencoder=AutoEncoder("dense", max_epochs=1),
        methods=(asal.RANDOM, asal.ENTROPY, asal.PIXELS, *changed[:1]),
        ablations=changed,
        n_initial=20,
        n_queries=10,
        n_rounds=2,
        n_seeds=1,
        n_steps=2,
    )
    monkeypatch.setitem(asal.EXPERIMENTS, "mnist-two", tiny)
    monkeypatch.setattr(asal, "agreement", lambda *_, **__: {})  # a figure for each of three features
    asal.main(["mnist-two", "--output", str(tmp_path)])
    asal.main(["mnist-two", "--output", str(tmp_path), "--methods", *changed[1:]])
    output = tmp_path / "mnist-two"
    lines = (output / "tables.md").read_text()
    assert all(f"| {method} |" in lines for method in (*tiny.methods, *changed))
    assert len(list((output / "runs").iterdir())) == 6
    assert asal.GAN.load(output / "DCGAN.skal").n_iter_ == 3


def test_query_times_of_asal(scripts, digits, tmp_path, monkeypatch):
    asal = scripts["asal"]
    X, y = digits["train"]
    tiny = replace(
        asal.EXPERIMENTS["mnist-ten"],
        classifier=asal.adam(asal.Linear, 2, 50),
        gan=asal.GAN(architecture="dense", n_iter=2, batch_size=16),
        autoencoder=AutoEncoder("dense", max_epochs=1),
        n_steps=2,
    )
    monkeypatch.setitem(asal.EXPERIMENTS, "mnist-ten", tiny)
    monkeypatch.setattr(asal.datasets, "load_mnist", lambda **_: (X, y))
    methods = ["Maximal Entropy", "ASAL-Gray", "ASAL-Autoencoder"]
    arguments = ["times", "--sizes", "100", "300", "--output", str(tmp_path), "--methods", *methods]
    asal.main(arguments)
    report = (tmp_path / "mnist-ten" / "times.md").read_text()
    assert report.count("| 100 |") == report.count("| 300 |") == 2
    seconds = json.loads((tmp_path / "mnist-ten" / "seconds.json").read_text())
    assert seconds.keys() == {"gan", "autoencoder", "oracle"}
    assert str(seconds) in report


def test_preparation_pays_after_some_queries(scripts):
    pays_after = scripts["asal"].pays_after
    assert (
        pays_after((30.0, 0.1), (1.0, 3.0), 1000.0) == "355, 10"
    )  # of 1029 and of 29 seconds, 2.9 at a time
    assert pays_after((0.5, 0.1), (1.0, 3.0), 0.0) == "0, 0"
    assert pays_after((30.0, 3.0), (1.0, 3.0), 0.0) == "never"


def test_every_method_of_asal_has_a_learner(scripts):
    methods, settings = sys.modules["_asal_methods"], scripts["asal"].EXPERIMENTS
    own, other = (tiny_gan(n_iter=n).fit(TABLE) for n in (1, 2))
    code = tiny_autoencoder().fit(TABLE)
    oracle = scripts["asal"].adam(scripts["asal"].LeNet, 1, 10)
    for experiment in settings.values():
        networks = methods.Networks(own, code, oracle, gans=dict.fromkeys(experiment.gans, other))
        for method in (*experiment.methods, *experiment.ablations):
            learner = methods.make_learner(method, experiment, networks)
            assert isinstance(learner.estimator, LinearClassifier) == ("min-distance" in method)
            gan = getattr(learner.strategy, "generator", None)
            is_other = any(name in method.partition("(")[2] for name in experiment.gans)
            assert gan is None or gan.estimator is (other if is_other else own), method
    ten = settings["mnist-ten"]
    networks = methods.Networks(own, code, oracle, gans=dict.fromkeys(ten.gans, other))
    asal = methods.make_learner("ASAL-Autoencoder (10 components, neighbors 5)", ten, networks).strategy
    assert (asal.n_components, asal.n_neighbors, asal.n_candidates, asal.objective) == (
        10,
        5,
        None,
        "entropy",
    )
    svm = methods.make_learner("ASAL-Gray (DCGAN, min-distance)", settings["mnist-two"], networks)
    assert (svm.strategy.objective, svm.estimator.loss, svm.estimator.batch_size) == (
        "min_distance",
        "hinge",
        10,
    )
    subset = methods.make_learner("Maximal Entropy (subset 250)", ten, networks).strategy
    assert (subset.n_candidates, subset.criterion.measure) == (250, "entropy")
    for method, message in {
        "Random (BigGAN)": "has \\['BigGAN'\\]",
        "Random (7 lives)": "was not understood",
    }.items():
        with pytest.raises(ValueError, match=message):
            methods.make_learner(method, ten, networks)


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


def test_lsun_is_split_and_mirrored(scripts, monkeypatch):
    settings = scripts["asal"].EXPERIMENTS["lsun"]
    module = sys.modules["_asal_settings"]
    monkeypatch.setattr(
        module.datasets, "load_lsun", lambda return_X_y: (np.arange(340), np.arange(340) % 10)
    )
    (train, y_train), (test, y_test) = settings.load("train"), settings.load("test")
    assert (len(train), len(test)) == (330, 10)
    assert_array_equal(np.sort(np.append(train, test)), np.arange(340))
    assert_array_equal(y_train, train % 10)
    assert_array_equal(y_test, test % 10)
    images = torch.arange(2 * 3 * 2 * 4, dtype=torch.uint8).reshape(2, 3, 2, 4).repeat(50, 1, 1, 1)
    changed = settings.classifier.augment(images)
    assert ((changed == images).flatten(1).all(1) | (changed == images.flip(-1)).flatten(1).all(1)).all()
    assert 20 < int((changed == images).flatten(1).all(1).sum()) < 80


def test_an_autoencoder_is_trained_for_the_steps_of_the_paper(scripts):
    settings = sys.modules["_asal_settings"]
    rows = np.random.default_rng(0).random((200, 6), dtype=np.float32)
    exact = settings.by_steps(8).set_params(random_state=0).fit(rows).module_.state_dict()
    passes = settings.by_steps(8).set_params(
        max_epochs=2, callbacks=None, random_state=0
    )  # of four steps each
    for name, weight in passes.fit(rows).module_.state_dict().items():
        torch.testing.assert_close(exact[name], weight, rtol=0, atol=0)
    fewer = settings.by_steps(7).set_params(random_state=0).fit(rows).module_.state_dict()
    assert any(not torch.equal(exact[name], fewer[name]) for name in exact)
    assert settings.EXPERIMENTS["svhn"].autoencoder.callbacks[0][1].n_steps == 100_000


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


def test_alcg_runs_to_its_tables(scripts, digits, tmp_path, monkeypatch):
    read_arrays = scripts["_experiments"].read_arrays
    alcg = scripts["alcg"]
    narrow = {"generator_params": {"channels": (8, 4, 2)}, "critic_params": {"channels": (2, 4, 8)}}
    tiny = {"n_initial": 60, "n_queries": 20, "n_rounds": 1, "n_iter": 3, "n_samples": 40, "n_seeds": 2}
    tiny |= {"gan": narrow | {"n_latent": 4, "batch_size": 16}}
    small_judge = alcg.judge("lenet_waal", 3, module_params={"dropout": 0.0})
    experiment = replace(alcg.EXPERIMENTS["mnist"], load=digits.get, judge=small_judge)
    monkeypatch.setitem(alcg.EXPERIMENTS, "mnist", experiment)
    monkeypatch.setattr(alcg, "QUICK", tiny)
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

    judge = alcg.CNNClassifier.load(
        output / "judge.skal", architecture=small_judge.architecture, callbacks=None
    )
    assert f"real test rows: {100 * judge.score(*alcg.some(*digits['test'], 40)):.2f}" in sections[1]
    assert f"on all test rows is {100 * judge.score(*digits['test']):.2f} %" in sections[0]
    assert {"curves.png", "samples-dcgan.png", "samples-wgan_gp.png"} <= {
        file.name for file in output.iterdir()
    }

    monkeypatch.setattr(SimulatedLearner, "fit", lambda *_, **__: pytest.fail("a run was made again"))
    monkeypatch.setattr(alcg, "report", lambda _: "")
    alcg.main([*arguments, "--bases", "dcgan", "--seeds", "0"])


def test_ten_classes_of_tiny_imagenet(scripts, monkeypatch):
    alcg = scripts["alcg"]
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

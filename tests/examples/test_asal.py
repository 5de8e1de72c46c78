"""ASAL's experiments on a few digits: they run to their tables, and continue where they were."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skal.classifiers import LinearClassifier
from skal.generators import ALI, GAN, AutoEncoder
from skal.nets import Linear

from ..networks import X as TABLE
from ..networks import tiny_autoencoder, tiny_gan


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
        gan=GAN(architecture="dense", n_iter=2, batch_size=16),
        gans={"DCGAN": GAN("dcgan", architecture="dense", n_iter=3, batch_size=16), "unused": GAN("none")},
        autoencoder=AutoEncoder("dense", max_epochs=1),
        methods=(asal.RANDOM, asal.ENTROPY, "ASAL-Gray", *changed[:1]),
        ablations=changed,
        n_initial=20,
        n_queries=10,
        n_rounds=2,
        n_seeds=1,
        n_steps=2,
    )
    monkeypatch.setitem(asal.EXPERIMENTS, "mnist-two", tiny)
    monkeypatch.setattr(asal, "agreement", lambda *_, **__: {})  # a figure for each of three features
    asal.main(["mnist-two", "--output", str(tmp_path), "--methods", asal.RANDOM, asal.ENTROPY])
    assert not list(tmp_path.rglob("*.skal"))  # these need no network
    asal.main(["mnist-two", "--output", str(tmp_path)])
    asal.main(
        ["mnist-two", "--output", str(tmp_path), "--gan-steps", "1", "--seeds", "7", "--methods", "ASAL-Gray"]
    )
    more = tmp_path / "1-steps" / "mnist-two"  # other networks, other runs
    assert (GAN.load(more / "gan.skal").n_iter_, GAN.load(tmp_path / "mnist-two" / "gan.skal").n_iter_) == (
        1,
        2,
    )
    assert (more / "runs" / "ASAL-Gray-7.npz").exists()
    assert "| ASAL-Gray |" in (more / "tables.md").read_text()
    asal.main(["mnist-two", "--output", str(tmp_path), "--methods", *changed[1:]])
    output = tmp_path / "mnist-two"
    lines = (output / "tables.md").read_text()
    assert all(f"| {method} |" in lines for method in (*tiny.methods, *changed))
    assert len(list((output / "runs").iterdir())) == 6
    assert GAN.load(output / "DCGAN.skal").n_iter_ == 3


def test_adba_in_latents(scripts, digits, tmp_path, monkeypatch):
    """Its two classifiers, by the tables; one has no probabilities, of which the entropy is taken."""
    asal = scripts["asal"]

    def two(split):
        X, y = digits[split]
        return X[y < 2], y[y < 2]

    tiny = replace(
        asal.EXPERIMENTS["mnist-two"],
        load=two,
        gan=GAN(architecture="dense", n_iter=2, batch_size=8),
        ali=ALI(architecture="dense", n_iter=2, batch_size=8),
        n_initial=8,
        n_queries=3,
        n_rounds=2,
        n_seeds=1,
    )
    monkeypatch.setitem(asal.EXPERIMENTS, "mnist-two", tiny)
    methods = ["ADBA", "ADBA (own objective)", "ADBA (ALI, own objective)", "Random (ALI, min-distance)"]
    asal.main(["mnist-two", "--output", str(tmp_path), "--methods", *methods])
    lines = (tmp_path / "mnist-two" / "tables.md").read_text()
    assert all(f"| {method} |" in lines for method in methods)
    assert "nan" not in lines
    histories = [np.load(tmp_path / "mnist-two" / "runs" / f"{method}-0.npz") for method in methods]
    points, *others, random = (history["class_counts"].sum(axis=1) for history in histories)
    assert_array_equal(points, [8, 8 + 3 * 11, 8 + 6 * 11])
    assert_array_equal(random, [8, 11, 14])
    assert all(14 <= boundary[-1] <= 20 for boundary in others)  # a row, and perhaps a point on the boundary


def test_matches_beside_an_annotator(scripts, digits, tmp_path):
    """Matches by gray values always agree with the label of the nearest row, and never with the other label."""
    asal = scripts["asal"]
    X, y = digits["train"]
    tiny = replace(asal.EXPERIMENTS["mnist-two"], classifier=asal.adam(Linear, 2, 50), n_rounds=5, n_steps=2)
    nearest = make_pipeline(FunctionTransformer(asal.flat), KNeighborsClassifier(1)).fit(X, y)
    other = make_pipeline(FunctionTransformer(asal.flat), KNeighborsClassifier(1)).fit(
        X, y.max() + y.min() - y
    )
    gan = GAN(architecture="dense", n_iter=2, batch_size=16, random_state=0).fit(X)
    found = [
        asal.agreement(["ASAL-Gray"], tiny, {"gan": gan, "oracle": oracle}.get, (X, y), tmp_path, 1)
        for oracle in (nearest, other)
    ]
    assert [each["agreement of ASAL-Gray"] for each in found] == [1, 0]
    assert 0 < found[0]["distance of ASAL-Gray"] < 1
    assert (tmp_path / "matches-ASAL-Gray.png").exists()


@pytest.fixture
def timed(scripts, digits, monkeypatch):
    """The script, whose query times are those of digits and tiny networks."""
    asal = scripts["asal"]
    tiny = replace(
        asal.EXPERIMENTS["mnist-ten"],
        classifier=asal.adam(Linear, 2, 50),
        gan=GAN(architecture="dense", n_iter=2, batch_size=16),
        autoencoder=AutoEncoder("dense", max_epochs=1),
        n_steps=2,
    )
    monkeypatch.setitem(asal.EXPERIMENTS, "mnist-ten", tiny)
    monkeypatch.setattr(asal.datasets, "load_mnist", lambda **_: digits["train"])
    return asal


def test_query_times_of_asal(timed, tmp_path, monkeypatch):
    asal = timed
    methods = ["Maximal Entropy", "ASAL-Gray", "ASAL-Autoencoder"]
    numbers = ["--sizes", "100", "300", "--asked", "10", "20", "--turns", "2"]
    folders = ["--output", str(tmp_path), "--results", str(tmp_path / "files")]
    arguments = ["times", *numbers, *folders, "--methods", *methods]
    asal.main(arguments)
    [file] = (tmp_path / "files").iterdir()
    assert file.name == "asal-times-to-300-asked-10-20-Maximal_Entropy-ASAL-Gray-ASAL-Autoencoder.json"
    result = json.loads(file.read_text())
    assert "--sizes 100 300 --turns 2 --asked 10 20 --methods 'Maximal Entropy'" in result["command"]
    parts = ("fit", "query", "query of 20")  # ten rows are the usual
    figures = {f"{name}, {size} rows: {part}" for name in methods for size in (100, 300) for part in parts}
    assert result["numbers"].keys() == figures | {"training of gan", "training of autoencoder"}
    report = (tmp_path / "mnist-ten" / "times.md").read_text()
    monkeypatch.setattr(asal.NetClassifier, "predict_proba", lambda *_: pytest.fail("it was measured again"))
    asal.main(arguments)
    assert (tmp_path / "mnist-ten" / "times.md").read_text() == report
    asal.main([*arguments[: -len(methods)], *methods[::-1]])
    table = (tmp_path / "mnist-ten" / "times.md").read_text()
    assert table.index("ASAL-Autoencoder: fit") < table.index("Maximal Entropy: fit")
    assert report.count("| 100 |") == report.count("| 300 |") == 2
    seconds = json.loads((tmp_path / "mnist-ten" / "seconds.json").read_text())
    assert seconds.keys() == {"gan", "autoencoder"}
    assert f"(gan {seconds['gan']:.0f} s, autoencoder {seconds['autoencoder']:.0f} s)" in report


def test_query_times_of_asal_with_reading(timed, digits, tmp_path, monkeypatch):
    asal = timed
    read, forgotten = [], []
    of_file = asal.ImageFiles.__getitem__
    forget = asal.ImageFiles.forget
    monkeypatch.setattr(
        asal.ImageFiles, "__getitem__", lambda self, row: read.append(row) or of_file(self, row)
    )
    monkeypatch.setattr(asal.ImageFiles, "forget", lambda self: forgotten.append(len(read)) or forget(self))
    arguments = ["times", "--files", "--sizes", "150", "--turns", "1", "--output", str(tmp_path)]
    asal.main([*arguments, "--results", str(tmp_path), "--methods", "Random", "ASAL-Gray", "Maximal Entropy"])
    # Each fit and each query begins without what was read; random queries and ASAL's read what they choose alone.
    _, asal_fit, _, *queries = np.diff([*forgotten, len(read)])
    assert asal_fit >= 150
    assert [number < 150 for number in queries] == [True, True, False]
    file = tmp_path / "asal-times-files-to-150-Random-ASAL-Gray-Maximal_Entropy.json"
    assert "times --files --sizes 150" in json.loads(file.read_text())["command"]
    images = asal.ImageFiles(digits["train"][0][:150], tmp_path / "mnist-ten" / "images-150")
    assert_array_equal(images[149], digits["train"][0][149])


def test_preparation_pays_after_some_queries(scripts):
    pays_after = scripts["asal"].pays_after
    # Of 1029 and of 29 seconds, 2.9 at a time.
    assert pays_after((30.0, 0.1), (1.0, 3.0), 1000.0) == "355, 10"
    assert pays_after((0.5, 0.1), (1.0, 3.0), 0.0) == "0, 0"
    assert pays_after((30.0, 3.0), (1.0, 3.0), 0.0) == "never"


def test_every_method_of_asal_has_a_learner(scripts):
    methods, settings = sys.modules["_asal_methods"], scripts["asal"].EXPERIMENTS
    own, other = (tiny_gan(n_iter=n).fit(TABLE) for n in (1, 2))
    code = tiny_autoencoder().fit(TABLE)
    oracle = scripts["asal"].adam(scripts["asal"].LeNet, 1, 10)
    known = {"gan": own, "autoencoder": code, "oracle": oracle, "ALI": code}
    for experiment in settings.values():
        network = (known | dict.fromkeys(experiment.gans, other)).__getitem__
        for method in (*experiment.methods, *experiment.ablations):
            learner = methods.make_learner(method, experiment, network)
            assert isinstance(learner.estimator, LinearClassifier) == ("min-distance" in method)
            gan = getattr(learner.strategy, "generator", None)
            is_other = any(name in method.partition("(")[2] for name in experiment.gans)
            assert gan is None or gan.estimator is (other if is_other else own), method
    ten = settings["mnist-ten"]
    network = (known | dict.fromkeys(ten.gans, other)).__getitem__
    asal = methods.make_learner("ASAL-Autoencoder (10 components, neighbors 5)", ten, network).strategy
    assert (asal.n_components, asal.n_neighbors, asal.n_candidates, asal.objective) == (
        10,
        5,
        None,
        "entropy",
    )
    svm = methods.make_learner("ASAL-Gray (DCGAN, min-distance)", settings["mnist-two"], network)
    assert (svm.strategy.objective, svm.estimator.loss, svm.estimator.batch_size) == (
        "min_distance",
        "hinge",
        10,
    )
    adba = methods.make_learner("ADBA (own objective)", settings["mnist-two"], network)
    assert (adba.strategy.answers, adba.strategy.n_points, adba.estimator.alpha) == ("boundary", 14, 1.0)
    assert adba.strategy.decoder.estimator is own
    adba = methods.make_learner("ADBA (ALI, own objective)", settings["mnist-two"], network)
    assert adba.strategy.decoder.estimator is code
    subset = methods.make_learner("Maximal Entropy (subset 250)", ten, network).strategy
    assert (subset.n_candidates, subset.criterion.measure) == (250, "entropy")
    for method, message in {
        "ASAL-Grey": "is not known; give one of",
        "Random (BigGAN)": "has \\['BigGAN'\\]",
        "Random (10 components)": "Random can have \\['min-distance'\\]",
        "ADBA (DCGAN)": "ADBA can have \\['own objective'\\]",
        "Random (7 lives)": "was not understood",
    }.items():
        with pytest.raises(ValueError, match=message):
            methods.make_learner(method, ten, network)


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--methods", "Random", "ASAL-Grey"], "'ASAL-Grey' is not known"),
        (["--gan", "lost"], "there is no lost"),
        (["--gan-steps", "0"], "'0' is no whole number of at least 1"),
        (["--seeds", "0", "-1"], "-1"),
    ],
)
def test_what_is_misspelled_is_refused_before_any_training(scripts, capsys, flags, message):
    with pytest.raises(SystemExit):
        scripts["asal"].main(["mnist-two", *flags])
    assert message in capsys.readouterr().err


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

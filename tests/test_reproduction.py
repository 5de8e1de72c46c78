"""The page of reproduction: built of the result files, whose figures come from runs, and of nothing else."""

import importlib
import json
import sys
from argparse import Namespace
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose
from sklearn.datasets import load_digits

pytest.importorskip("matplotlib")
NAMES = (
    "report",
    "_results",
    "waal",
    "asal",
    "alcg",
    "_alcg_settings",
    "_dgal_figures",
    "_dgal_two",
    "_waal_distances",
)
FOLDER = Path(__file__).parents[1] / "examples" / "papers"


@pytest.fixture(scope="module")
def scripts():
    """The report and what writes its files, imported as they import each other: from their folder."""
    sys.path.insert(0, str(FOLDER))
    try:
        yield {name: importlib.import_module(name) for name in NAMES}
    finally:
        sys.path.remove(str(FOLDER))


@pytest.fixture
def result(scripts):
    """Two seeds of one method and one of another."""
    curve = {
        "seeds": [0, 3],
        "n_labeled": [10, 20, 30],
        "score": [[0.5, 0.7, 0.9], [0.6, 0.8, 0.7]],
        "score_distance": [[4.0, 3.0, 2.0], [8.0, 7.0, 6.0]],
        "query_entropy": [[None, 1.0, 2.0], [None, 3.0, 4.0]],
        "query_time": [[0.0, 1.0, 3.0], [0.0, 5.0, 7.0]],
        "fit_time": [[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]],
        "class_counts": [[10, 20], [15, 15]],
    }
    other = {"seeds": [0], "n_labeled": [10, 20, 30], "score": [[0.1, 0.2, 0.65]]}
    content = {"curves": {"A (x)": curve, "B": other}, "numbers": {"graph construction": 4.5}}
    return scripts["report"].Result("file", content)


def test_the_page_is_that_of_the_files(scripts):
    report = scripts["report"]
    assert (report.DOCS / "reproduction.md").read_text() == report.page(*report.read()), (
        "run python examples/papers/report.py"
    )


def test_claims_are_of_the_papers_and_every_result_file_serves_one(scripts):
    report = scripts["report"]
    claims, results = report.read()
    assert {claim["paper"] for claim in claims} == set(report.PAPERS)
    assert len(claims) >= 60
    for claim in claims:
        assert {"result", "ours", "checks"} <= claim.keys() or "not_run" in claim, claim
        assert not {"result", "not_run"} <= claim.keys(), claim
    assert results.keys() == {claim["result"] for claim in claims if "result" in claim}
    pictures = {file.stem for file in (report.DOCS / "results").glob("*.svg")}
    assert pictures == {name for name, result in results.items() if report.drawn(result)}


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("graph construction", [4.5]),
        ("A (x): score 20", [70, 80]),
        ("A (x): score start", [50, 60]),
        ("A (x): score end", [90, 70]),
        ("A (x): score_distance end", [2, 6]),
        ("A (x): labels 75", [30, 20]),
        ("A (x): labels 85", [30, np.inf]),
        ("A (x): entropy", [1.5, 3.5]),
        ("A (x): entropy 20", [1, 3]),
        ("A (x): entropy end", [2, 4]),
        ("A (x): query", [2, 6]),
        ("A (x): query end", [3, 7]),
        ("A (x): training start", [1, 4]),
        ("A (x): training", [2, 5]),
        ("A (x): share 1", [200 / 3, 50]),
        ("B: score end", [65]),
    ],
)
def test_figures_are_looked_up(result, text, values):
    assert_allclose(result.figure(text), values)


@pytest.mark.parametrize("text", ["no number", "C: score end", "A (x)"])
def test_a_figure_that_is_not_there_is_refused(result, text):
    with pytest.raises(KeyError, match="file has no figure"):
        result.figure(text)


@pytest.mark.parametrize(
    ("check", "is_held"),
    [
        ("A (x): score end > B: score end", True),
        ("A (x): score end > 15 + B: score end", False),
        ("A (x): score end > 4.9 + B: score end", True),
        ("A (x): score end > 14.9 + B: score end", False),  # of the means, and not of the second seed
        ("A (x): query < 0.5 * A (x): query", False),
        ("A (x): query < 1.1 * A (x): query", True),
        ("graph construction = 4 within 0.5", True),
        ("graph construction = 4 within 0.4", False),
        ("B: labels 85 > 1000", True),
        ("A (x): labels 85 > 1000", False),  # infinitely many in one of two seeds
        ("A (x): score end > 75", False),  # the mean is 80, the second seed 70
        ("75 < A (x): score end", False),
        ("A (x): score start < 0.5 + A (x): score 20", True),
        ("A (x): score end > A (x): score start", True),
        ("A (x): score end > A (x): score 20", False),
        ("A (x): score end = 75 within 6", True),
    ],
)
def test_checks_compare_means_and_seeds(scripts, result, check, is_held):
    assert scripts["report"].holds(check, result) is is_held


@pytest.mark.parametrize(
    "check", ["A (x): score end", "graph construction = 4.5", "graph construction < 4 within 1"]
)
def test_a_check_that_is_none_is_refused(scripts, result, check):
    with pytest.raises(ValueError, match="was not understood"):
        scripts["report"].holds(check, result)


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"ours": "{graph construction}"}, "reproduced"),
        ({"ours": "{A (x): query} {B: score end}"}, "partly: holds, but 1 seed"),
        ({"ours": "{A (x): query}", "lacks": "on digits"}, "partly: holds, but on digits; 2 seeds"),
        ({"ours": "{graph construction}", "checks": ["1 < 2", "1 > 2"]}, "partly: 1 of 2 checks hold"),
        (
            {"ours": "{A (x): query}", "checks": ["1 < 2", "1 > 2"], "lacks": "on digits"},
            "partly: 1 of 2 checks hold; on digits; 2 seeds",
        ),
        ({"ours": "{graph construction}", "checks": ["2 < 1", "1 > 2"]}, "not reproduced"),
        ({"ours": "{B: score end}", "checks": ["2 < 1"]}, "not reproduced: 1 seed"),
    ],
)
def test_verdicts(scripts, result, changes, expected):
    claim = {"paper": "ASAL", "place": "here", "claim": "so", "result": "file", "checks": ["1 < 2"]} | changes
    assert scripts["report"].row(claim, {"file": result})[4] == expected


def test_a_row_shows_figures_and_their_seeds(scripts, result):
    claim = {
        "paper": "ASAL",
        "place": "here",
        "claim": "so",
        "result": "file",
        "ours": "A {A (x): score end} %, at 85 %: {A (x): labels 85}, {B: labels 99}",
        "checks": ["1 < 2"],
        "fair": "B {B: score end}",
    }
    cells = scripts["report"].row(claim, {"file": result})
    assert cells[2] == "A 80 [70, 90] %, at 85 %: 30 (1 of 2 seeds), never (1 seed)"
    assert cells[3] == "[file](#file)"
    assert cells[5] == "B 65"


def test_a_claim_whose_file_is_missing_is_refused(scripts, result):
    claim = {"place": "here", "claim": "so", "result": "lost", "ours": "", "checks": ["1 < 2"]}
    with pytest.raises(FileNotFoundError, match=r"docs/results/lost\.json.*not_run"):
        scripts["report"].row(claim, {"file": result})


def test_a_result_file_has_what_the_runs_recorded(scripts, tmp_path):
    runs = tmp_path / "runs"
    runs.mkdir()
    for seed in (0, 2):
        np.savez(
            runs / f"A (x)-{seed}.npz",
            n_labeled=[10, 20],
            score=[0.123456, 0.5 + seed / 10],
            query_time=[0, 2.0],
            query_entropy=[np.nan, 0.25],
            fit_time=[1.0, 3.0],
            class_counts=[[5, 5], [8, 12]],
            labeled_rows=np.arange(20),
        )
    options = Namespace(
        script="asal", experiment="mnist-two", quick=True, results=tmp_path / "files", output="elsewhere"
    )
    scripts["_results"].write_results(
        options,
        tmp_path,
        ["A (x)", "not run"],
        flags=["--methods", "A (x)"],
        setting="a few rows",
        numbers={"graph construction": np.float64(1.23456)},
    )
    (file,) = (tmp_path / "files").iterdir()
    assert file.name == "asal-mnist-two-quick.json"
    found = json.loads(file.read_text())
    assert found["command"] == (
        "python examples/papers/asal.py mnist-two --quick --methods 'A (x)' --seeds 0 2"
    )
    assert found["curves"] == {
        "A (x)": {
            "seeds": [0, 2],
            "n_labeled": [10, 20],
            "score": [[0.1235, 0.5], [0.1235, 0.7]],
            "query_entropy": [[None, 0.25], [None, 0.25]],
            "query_time": [[0, 2], [0, 2]],
            "fit_time": [[1, 3], [1, 3]],
            "class_counts": [[8, 12], [8, 12]],
        }
    }
    assert found["numbers"] == {"graph construction": 1.235}
    assert found["seconds"] == 12
    assert found["machine"].keys() == {"cores", "threads", "gpu"}
    assert str(tmp_path) not in file.read_text()
    assert "elsewhere" not in file.read_text()


def test_without_a_folder_no_file_is_written(scripts, tmp_path):
    options = Namespace(script="asal", experiment="mnist-two", quick=False, results=None)
    scripts["_results"].write_results(options, tmp_path)
    assert not list(tmp_path.iterdir())


def test_what_quick_cuts_is_told_with_the_papers_value(scripts):
    full = scripts["waal"].EXPERIMENTS["fashion-mnist"]
    assert scripts["_results"].cuts(full, full) == []
    small = replace(full, n_epochs=6, lr=0.1)
    assert scripts["_results"].cuts(full, small) == ["lr 0.1 (0.01)", "n_epochs 6 (80)"]
    asal = scripts["asal"]
    two = asal.EXPERIMENTS["mnist-two"]
    small = asal.quick("mnist-two", two)
    found = scripts["_results"].cuts(two, small)
    assert found == ["gan n_iter 3000 (40000)", "gans DCGAN n_iter 3000 (40000)", "ali n_iter 1500 (20000)"]
    dense = scripts["_results"].cuts(small, asal.with_dense_gans(small))
    assert {"gan architecture dense (auto)", "gans DCGAN architecture dense (auto)"} <= set(dense)
    assert not any(text.startswith("classifier") for text in dense)
    more = scripts["_results"].cuts(two, asal.with_gans(two, n_iter=50))
    assert more == ["gan n_iter 50 (40000)", "gans DCGAN n_iter 50 (40000)"]
    judges = [scripts["_alcg_settings"].judge("lenet", n_epochs) for n_epochs in (30, 8)]
    assert scripts["_results"].differences("judge", *judges) == ["judge max_epochs 8 (30)"]


def test_alcg_judges_a_training_on_its_way(scripts, tmp_path, monkeypatch, capsys):
    alcg = scripts["alcg"]
    X, y = load_digits(return_X_y=True)
    X = np.kron(X.reshape(-1, 1, 8, 8), np.ones((2, 2))).astype(np.uint8)
    narrow = {"generator_params": {"channels": (8, 4, 2)}, "critic_params": {"channels": (2, 4, 8)}}
    tiny = replace(
        alcg.EXPERIMENTS["mnist"],
        load={"train": (X[:200], y[:200]), "test": (X[200:260], y[200:260])}.get,
        judge=scripts["_alcg_settings"].judge("lenet_waal", 1, module_params={"dropout": 0.0}),
        n_initial=60,
        n_iter=20,
        n_samples=40,
        n_seeds=1,
        gan=narrow | {"n_latent": 4, "batch_size": 16},
    )
    monkeypatch.setitem(alcg.EXPERIMENTS, "mnist", tiny)
    arguments = ["mnist", "--parts", "training", "--bases", "dcgan", "--output", str(tmp_path / "runs")]
    alcg.main([*arguments, "--results", str(tmp_path / "files")])
    curves = json.loads((tmp_path / "files" / "alcg-mnist-training.json").read_text())["curves"]
    regular, adversarial = (curves[f"dcgan-{name}-training"] for name in ("regular", "adversarial"))
    assert regular["n_labeled"] == list(range(2, 21, 2))
    distances = [run["score_classifier_frechet_distance"][0] for run in (regular, adversarial)]
    assert len(set(distances[0])) == 10
    assert distances[0] != distances[1]
    monkeypatch.setattr(alcg.ACGANClassifier, "fit", lambda *_: pytest.fail("a training was made again"))
    alcg.main(arguments)
    assert "| dcgan-adversarial-training |" in capsys.readouterr().out


def test_how_mixed_the_classes_are_where_rows_are_queried(scripts):
    # On a line, 30 rows of each class; the boundary is between rows 29 and 30.
    latents, y = np.arange(60.0)[:, None], np.repeat([0, 1], 30)
    rows = np.r_[0, 3, 6, 9, 12, 15, 29]
    history = {"n_labeled": np.array([range(1, 8)]), "labeled_rows": rows[None]}
    found = scripts["_dgal_figures"].near_boundaries({"dgmg": history}, latents, y)
    assert found["other classes near dgmg, rounds 1 to 5"] == [0]
    assert found["other classes near dgmg, rounds 6 to 10"] == [50]
    assert "other classes near dgmg, later rounds" not in found
    # The five rows on each side of the boundary have 5, 4, 3, 2 and 1 of ten neighbours on the other one.
    assert_allclose(found["other classes near random rows"], 100 * 2 * 15 / 600)


def test_fours_and_nines_among_the_latents(scripts, tmp_path, monkeypatch):
    two = scripts["_dgal_two"]
    monkeypatch.setattr(two, "N_STEPS", (5, 3_000))
    X, y = load_digits(return_X_y=True)
    rows = np.isin(y, (4, 9))
    images = X[rows].reshape(-1, 1, 8, 8).repeat(2, axis=2).repeat(2, axis=3).astype(np.uint8)
    monkeypatch.setattr(two.datasets, "load_mnist", lambda **_: (images, y[rows]))
    options = Namespace(
        script="dgal",
        experiment="figure-2",
        quick=True,
        seeds=[0],
        output=tmp_path,
        results=tmp_path / "files",
    )
    two.two_main(options)
    numbers = json.loads((tmp_path / "files" / "dgal-figure-2-quick.json").read_text())["numbers"]
    assert 50 < numbers["neighbours of the same digit"] <= 100
    assert 0 < numbers["distance to neighbours of the other digit"] < 100
    assert_allclose(numbers["held, harmonic, 3000 steps"], [1])
    assert (tmp_path / "figure-2-quick" / "latents.png").stat().st_size > 0


def test_a_diffusion_ends_at_the_second_eigenvector_only_where_labels_are_free(scripts, monkeypatch):
    """Two clouds side by side, which the second eigenvector tells apart."""
    two = scripts["_dgal_two"]
    monkeypatch.setattr(two, "N_STEPS", (5, 3_000))
    rng = np.random.default_rng(0)
    latents = rng.normal(size=(200, 2)) + np.repeat([[0, 0], [3, 0]], 100, axis=0)
    found = two.limits_of_diffusion(latents, np.repeat([4, 9], 100), [0, 1])
    assert_allclose(found["free, eigenvector, 3000 steps"], [1, 1])
    assert_allclose(found["held, harmonic, 3000 steps"], [1, 1])
    assert max(found["held, eigenvector, 3000 steps"]) < 0.99
    assert min(found["held, eigenvector, 3000 steps"]) > 0.1


@pytest.mark.parametrize("b", [0.2, 0.5])
def test_distances_of_diverse_and_other_queries(scripts, b):
    distances = scripts["_waal_distances"]
    figures, a = distances.figure_2(b), distances.A
    assert_allclose(figures["W1(D1, D2), largest"], (a - b) / 2, atol=1e-3)
    assert_allclose(figures["W1(D1, D3), smallest"], a**2 / (2 * (a - b)) + a - b, atol=1e-3)
    for name in ("D2", "D3"):
        assert_allclose(
            figures[f"risk of D1 and {name}, weighed by length, smallest"], b / (a + b), atol=1e-3
        )
    # Of D3 all lies above a, and of D1 a half. D2 at the inner ends lies below a + b, and of D1 a half and that part.
    assert_allclose(figures["risk of D1 and D3, weighed alike, smallest"], b / (2 * a), atol=1e-3)
    assert_allclose(figures["risk of D1 and D2, weighed alike, smallest"], (a + b) / (4 * a), atol=1e-3)

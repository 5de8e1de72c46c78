"""How far long work is: who is told, and what is written where."""

import io
import sys
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
from joblib import parallel_config
from sklearn.decomposition import PCA, IncrementalPCA
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier

from skal import SimulatedLearner, show_progress, simulate
from skal.classifiers import ACGANClassifier, LinearClassifier
from skal.generators import ALI, GAN, fit_encoder
from skal.graph import nearest_neighbors
from skal.neighbors import CellIndex, GraphIndex
from skal.strategies import BAIT, DGAL, SEALS, ExpectedErrorReduction, QueryByCommittee, RandomSampling
from skal.utils import progress
from skal.utils.progress import Task, advance, counted

RNG = np.random.default_rng(0)
X = RNG.normal(size=(60, 4)).astype(np.float32)
Y = (X[:, 0] > 0).astype(int)


class Clock:
    """Time that goes on when it is told to."""

    def __init__(self):
        self.now = 1000.0

    def monotonic(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(progress, "time", clock)
    return clock


class Terminal(io.StringIO):
    def isatty(self):
        return True


def heard(work):
    """The tasks of some work, all of which speak."""
    tasks = []
    with show_progress(tasks.append):
        work()
    return tasks


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(progress, "_PATIENCE", 0)


def wait(clock, parts, seconds, unit="parts"):
    for part in counted(parts, unit):
        clock.now += seconds
        yield part


def test_work_speaks_after_two_seconds_and_at_its_end(clock):
    tasks = heard(lambda: list(wait(clock, range(6), 0.75)))
    assert [(task.n_done, task.seconds, task.is_over) for task in tasks] == [
        (3, 2.25, False),
        (6, 4.5, True),
    ]
    assert heard(lambda: list(wait(clock, range(6), 0.3))) == []


def test_work_inside_work(clock):
    def work():
        for _ in wait(clock, range(2), 0.0, "rounds"):
            for _ in wait(clock, range(4), 1.0, "epochs"):
                pass

    assert [str(task) for task in heard(work)] == [
        "0 of 2 rounds, 2 of 4 epochs",
        "0 of 2 rounds, 4 of 4 epochs",
        "1 of 2 rounds, 2 of 4 epochs",
        "1 of 2 rounds, 4 of 4 epochs",
        "2 of 2 rounds",
    ]


def test_a_loop_that_is_left_is_over_and_one_that_fails_is_forgotten(clock):
    def leave():
        for i in wait(clock, range(9), 1.0):
            if i == 4:
                break

    assert [(task.n_done, task.is_over) for task in heard(leave)] == [
        (2, False),
        (4, False),
        (4, True),
    ]

    def fail():
        with pytest.raises(ZeroDivisionError), progress.progress("tries", 3):
            raise ZeroDivisionError
        list(wait(clock, range(3), 1.0))

    assert all(task.outer is None and task.unit == "parts" for task in heard(fail))


def test_a_pass_that_outlives_the_statement_is_told_to_nobody(clock):
    tasks = []
    with show_progress(tasks.append):
        parts = wait(clock, range(9), 1.5)
        next(parts), next(parts), next(parts)
    told = len(tasks)
    assert told
    list(parts)
    assert len(tasks) == told


def test_what_a_listener_does_is_not_told_to_it(impatient):
    tasks = []

    def listen(task):
        tasks.append(task)
        list(counted(range(3), "lines"))

    with show_progress(listen):
        list(counted(range(3), "parts"))
    assert {task.unit for task in tasks} == {"parts"}


def test_a_listener_that_raised_hears_nothing_more(impatient):
    tasks = []

    def listen(task):
        tasks.append(task)
        raise ZeroDivisionError

    def work():
        for _ in counted(range(3), "rounds"):
            list(counted(range(3), "parts"))

    with pytest.raises(ZeroDivisionError), show_progress(listen):
        work()
    assert len(tasks) == 1


def test_lines_go_to_the_standard_error(clock, capsys):
    with show_progress():
        list(wait(clock, range(2), 2.0))
    assert capsys.readouterr().err.endswith("[skal] 2 of 2 parts in 4 s\n")


def test_a_terminal_has_one_line(clock, monkeypatch):
    monkeypatch.setenv("COLUMNS", "60")
    file = Terminal()
    with show_progress(file=file):
        list(wait(clock, range(4), 2.0, "epochs"))
    first, *lines = file.getvalue().split("\r")
    assert first == ""
    assert [line.rstrip(" ") for line in lines] == [
        "[skal] [###.........] 1 of 4 epochs in 2 s, about 6 s left",
        "[skal] [######......] 2 of 4 epochs in 4 s, about 4 s left",
        "[skal] [#########...] 3 of 4 epochs in 6 s, about 2 s left",
        "[skal] [############] 4 of 4 epochs in 8 s".ljust(59) + "\n",
    ]
    monkeypatch.setenv("COLUMNS", "30")
    file = Terminal()
    with show_progress(file=file):
        list(wait(clock, range(4), 2.0, "epochs"))
    assert {len(line) for line in file.getvalue().rstrip("\n").split("\r")} == {0, 29}  # none breaks
    file = Terminal()
    with pytest.raises(ZeroDivisionError), show_progress(file=file):
        [1 // (2 - i) for i in wait(clock, range(4), 2.0)]
    assert file.getvalue().endswith("\n")  # the traceback begins a line of its own


def test_who_listens_is_checked_before_any_work(clock, monkeypatch, capsys):
    with pytest.raises(TypeError, match="file="), show_progress(io.StringIO()):
        pass
    closed = io.StringIO()
    closed.close()
    with pytest.raises(ValueError, match="closed"), show_progress(file=closed):
        pass
    monkeypatch.setattr(sys, "stderr", None)  # as in programs without a console
    with show_progress():
        list(wait(clock, range(4), 2.0))
    plain = SimpleNamespace(write=(lines := []).append, flush=lambda: None)
    with show_progress(file=plain):
        list(wait(clock, range(2), 2.0))
    assert "[skal] 2 of 2 parts in 4 s" in lines
    assert capsys.readouterr().out == ""


def test_a_notebook_has_one_output(clock, monkeypatch):
    shown = []

    class Output:
        def update(self, content, raw):
            shown[-1] = content["text/plain"]

    def display(content, raw, display_id):
        shown.append(content["text/plain"])
        return Output()

    monkeypatch.setitem(sys.modules, "IPython.display", SimpleNamespace(display=display))
    stream = type("OutStream", (io.StringIO,), {"__module__": "ipykernel.iostream"})()
    with show_progress(file=stream):
        list(wait(clock, range(4), 2.0, "epochs"))
        list(wait(clock, range(2), 2.0, "steps"))
    assert shown == [
        "[skal] [############] 4 of 4 epochs in 8 s",
        "[skal] [############] 2 of 2 steps in 4 s",
    ]
    assert stream.getvalue() == ""


def test_a_log_has_few_lines(clock):
    file = io.StringIO()
    with show_progress(file=file):
        for _ in wait(clock, range(24), 0.0, "rounds"):
            list(wait(clock, range(3600), 1.0, "epochs"))
    lines = file.getvalue().splitlines()
    assert lines[0] == "[skal] 0 of 24 rounds, 2 of 3,600 epochs in 2 s"
    assert lines[-1] == "[skal] 24 of 24 rounds in 86400 s"
    assert len(lines) < 35
    assert "\r" not in file.getvalue()


def test_what_is_left_is_told_by_the_outermost_work(clock):
    def work():
        for _ in wait(clock, range(3), 0.0, "rounds"):
            list(wait(clock, range(4), 1.0, "epochs"))

    outer = [task.outer for task in heard(work) if task.unit == "epochs"]
    assert [task.seconds_left for task in outer] == [None, None, 6, 4, 2, 0]


def test_nothing_is_written_unless_it_is_wanted(impatient, capsys):
    list(counted(range(3), "parts"))
    advance("parts")
    assert capsys.readouterr() == ("", "")


def units(tasks):
    return {task.unit for task in tasks} | {task.outer.unit for task in tasks if task.outer}


def test_trainings_are_told(impatient):
    tasks = heard(lambda: LinearClassifier(max_epochs=3, batch_size=20, random_state=0).fit(X, Y))
    assert "1 of 3 epochs, 2 of 3 batches" in map(str, tasks)
    assert str(tasks[-1]) == "3 of 3 epochs"


@pytest.mark.parametrize(
    "fit",
    [
        GAN(n_latent=2, n_iter=130, n_critic=1, random_state=0).fit,
        ALI(n_latent=2, n_iter=130, random_state=0).fit,
        partial(ACGANClassifier(n_latent=2, n_iter=130, n_critic=1, random_state=0).fit, y=Y),
    ],
    ids=["GAN", "ALI", "ACGANClassifier"],
)
def test_steps_are_told(impatient, fit):
    tasks = heard(lambda: fit(X))
    assert [task.n_done for task in tasks if task.unit == "steps"][-1] == 130
    assert {task.n_all for task in tasks if task.unit == "steps"} == {130}
    assert len({task.n_done for task in tasks if task.unit == "steps"}) > 2


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_simulations_are_told(impatient, n_jobs):
    learner = SimulatedLearner(LogisticRegression(), RandomSampling(), n_initial=10, n_queries=10, budget=30)
    with parallel_config("threading"):
        tasks = heard(lambda: simulate([learner], X, Y, n_repeats=2, n_jobs=n_jobs, random_state=0))
    assert [task.n_done for task in tasks if task.unit == "runs"] == [1, 2]
    if n_jobs == 1:
        assert "1 of 2 runs, 2 of 3 rounds" in map(str, tasks)


@pytest.mark.parametrize(
    ("strategy", "unit"),
    [
        (BAIT(), "picks"),
        (ExpectedErrorReduction(n_candidates=5, random_state=0), "candidates"),
        (QueryByCommittee(n_members=3, random_state=0), "members"),
        (DGAL(PCA(2), n_neighbors=3, random_state=0), "steps of the diffusion"),
    ],
    ids=str,
)
def test_queries_are_told(impatient, strategy, unit):
    kind = (
        DecisionTreeClassifier if unit == "candidates" else LogisticRegression
    )  # which is trained again for each
    y = np.where(np.arange(60) < 20, Y, -1)
    fitted, estimator = strategy.fit(X, y), kind().fit(X[:20], Y[:20])
    assert unit in units(heard(lambda: fitted.query(X, y, n_queries=3, estimator=estimator)))


def test_searches_for_neighbours_are_told(impatient):
    rows = RNG.normal(size=(3000, 4)).astype(np.float32)
    assert heard(lambda: nearest_neighbors(rows, 5))


@pytest.mark.parametrize(
    ("strategy", "wanted"),
    [
        (SEALS(IncrementalPCA(2)), {"rows for IncrementalPCA", "rows in cells", "rows of the index"}),
        (
            DGAL(IncrementalPCA(2), index="approximate", device="cpu"),
            {
                "rows for IncrementalPCA",
                "rounds of k-means",
                "blocks of neighbours",
                "steps of the transition matrix",
                "steps of the renumbering",
            },
        ),
    ],
    ids=["SEALS", "DGAL"],
)
def test_a_fit_says_what_it_counts(impatient, strategy, wanted):
    rows = np.random.default_rng(0).normal(size=(9000, 3))
    told = units(heard(lambda: strategy.fit(rows)))
    assert wanted <= told
    assert "parts" not in told


def test_an_index_by_pynndescent_is_told(impatient, monkeypatch):
    graph = SimpleNamespace(prepare=lambda: None)
    monkeypatch.setattr("skal.neighbors.graph_index.build_graph", lambda X, seed: graph)
    tasks = heard(lambda: GraphIndex().fit(np.zeros((5000, 1))))
    assert [str(task) for task in tasks] == ["1 of 2 steps of the graph", "2 of 2 steps of the graph"]


def test_cells_in_two_steps_are_told(impatient, monkeypatch):
    monkeypatch.setattr("skal.neighbors.cells._FLAT_CELLS", 9)
    assert "groups of cells" in units(heard(lambda: CellIndex(20).fit(RNG.normal(size=(400, 2)))))


def test_an_encoder_is_told_and_stays_what_it_is(impatient):
    encoders = []
    tasks = heard(lambda: encoders.append(fit_encoder(IncrementalPCA(2), X, seed=0)))
    encoders.append(fit_encoder(IncrementalPCA(2), X, seed=0))
    assert str(tasks[0]) == "20 of 60 rows for IncrementalPCA"
    assert vars(encoders[0]).keys() == vars(encoders[1]).keys()
    np.testing.assert_array_equal(encoders[0].components_, encoders[1].components_)


def test_a_task_says_what_it_is():
    assert str(Task("rows", 1000, 20000, 3.0)) == "1,000 of 20,000 rows"

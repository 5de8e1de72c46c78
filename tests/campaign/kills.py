"""Kill annotators, trainer and migrations at random moments, and count what is lost.

``python -m tests.campaign.kills --kills 100`` prints a table. Three annotators label as fast as they can, each in a
process of its own, while a fourth process trains; all four get SIGKILL at the same random moment, and the next four go
on with the folder. An answer that was acknowledged is written to a log of its annotator first; it carries a number, by
which it is looked for in the journal.
"""

import argparse
import json
import mmap
import multiprocessing
import os
import shutil
import signal
import sqlite3
import tempfile
import time
from collections import Counter
from contextlib import closing
from pathlib import Path

import numpy as np
from sklearn.linear_model import LogisticRegression

from skal import UNLABELED, ActiveLearner
from skal.campaign import Campaign, answers, leases
from skal.campaign.database import FILE, Database
from skal.campaign.models import Models
from skal.campaign.schema import MIGRATIONS
from skal.campaign.trainer import Trainer
from skal.strategies import BADGE, CoreSet

N_ROWS, N_CLASSES, PLACES, LEASE = 12_000, 5, 2, 2.0
NAMES = ("anna", "bob", "cleo")
PHASES = ("idle", "lease", "answer", "commit", "training", "saving", "asking", "migration")

rng = np.random.default_rng(0)
X = rng.normal(size=(N_ROWS, 8))
TRUTH = np.abs(X).argmax(axis=1) % N_CLASSES

# Work that takes a while, in one transaction: another table, filled step by step.
ANOTHER = "CREATE TABLE notes (step INTEGER PRIMARY KEY, n_events INTEGER);\n" + "".join(
    f"INSERT INTO notes SELECT {i}, count(*) FROM events WHERE length(detail) >= {i % 2};\n"
    for i in range(400)
)


def plan():
    return ActiveLearner(
        LogisticRegression(max_iter=200),
        BADGE(),
        cold_start=CoreSet(),
        classes=range(N_CLASSES),
        random_state=0,
    )


class Traced(sqlite3.Connection):
    """A connection that says in shared memory what it is at."""

    phase = None

    def execute(self, sql, *args):
        if sql == "COMMIT":
            before, Traced.phase[0] = Traced.phase[0], PHASES.index("commit")
            result = super().execute(sql, *args)
            Traced.phase[0] = 0 if before in range(4) else before
            return result
        return super().execute(sql, *args)


def traced(function, name):
    """A function that says in shared memory that it runs."""

    def call(*args, **kwargs):
        before, Traced.phase[0] = Traced.phase[0], PHASES.index(name)
        try:
            return function(*args, **kwargs)
        finally:
            if name != "lease" and name != "answer":  # what follows is the commit
                Traced.phase[0] = before

    return call


def trace(path):
    with open(path, "r+b") as file:
        Traced.phase = mmap.mmap(file.fileno(), 1)
    connect = sqlite3.connect
    sqlite3.connect = lambda *args, **kwargs: connect(*args, factory=Traced, **kwargs)
    leases.lend = traced(leases.lend, "lease")
    for verb in ("answer", "skip", "correct", "undo"):
        setattr(answers, verb, traced(getattr(answers, verb), "answer"))
    Trainer._train = traced(Trainer._train, "training")
    Trainer._ask = traced(Trainer._ask, "asking")
    Models.save = traced(Models.save, "saving")
    Database.fill = traced(Database.fill, "migration")


def annotate(folder, name, seed, log, phase, ready):
    """Label until killed; what was acknowledged is in the log."""
    trace(phase)
    draws = np.random.default_rng(seed)
    campaign = Campaign.open(folder, training=None)
    campaign._patience = 0.5
    with campaign._database.glance() as connection:
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
    told = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    ready.set()
    token = float(seed) * 1e6
    while True:
        for row in campaign.next(name, int(draws.integers(1, 5))):
            token += 1
            label = int(TRUTH[row]) if draws.random() < 0.9 else int(draws.integers(N_CLASSES))
            if draws.random() < 0.05:
                campaign.skip(name, row, seconds=token)
            else:
                campaign.answer(name, row, label, seconds=token)
            os.write(told, f"{int(token)} {row}\n".encode())
            if draws.random() < 0.03:
                campaign.undo(name)


def train(folder, phase, ready):
    trace(phase)
    campaign = Campaign.open(folder, X, training="foreground")
    ready.set()
    while True:
        campaign.work()
        time.sleep(0.005)


def migrate(folder, phase, ready):
    trace(phase)
    ready.set()
    Database(Path(folder), migrations=(*MIGRATIONS, ANOTHER))
    Traced.phase[0] = 0
    time.sleep(60)


def kill(jobs, phases, delay):
    """Start processes, kill them all after a while, and count what they were at."""
    context = multiprocessing.get_context("fork")
    found = Counter()
    processes = []
    for target, args, phase in zip(*jobs, phases, strict=True):
        phase.write_bytes(b"\0")
        ready = context.Event()
        process = context.Process(target=target, args=(*args, str(phase), ready), daemon=True)
        process.start()
        processes.append((process, ready))
    for process, ready in processes:
        while not ready.wait(0.05):
            assert process.is_alive(), "a process ended by itself"
    time.sleep(delay)
    for process, _ in processes:
        assert process.is_alive(), f"a process ended by itself, with {process.exitcode}"
        os.kill(process.pid, signal.SIGKILL)
    for (process, _), phase in zip(processes, phases, strict=True):
        process.join()
        found[PHASES[phase.read_bytes()[0]]] += 1
    return found


def check(folder, logs):
    """Count what was lost, doubled, or lent to too many, and look whether the file is whole."""
    connection = sqlite3.connect(folder / FILE)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    times = [t for (t,) in connection.execute("SELECT time FROM events ORDER BY id")]
    assert times == sorted(times)
    told = [line.split() for log in logs if log.exists() for line in log.read_text().splitlines()]
    kept = Counter(
        (int(seconds), row)
        for seconds, row in connection.execute("SELECT seconds, row FROM entries WHERE seconds IS NOT NULL")
    )
    lost = [pair for pair in told if not kept[int(pair[0]), int(pair[1])]]
    doubled = [pair for pair, n in kept.items() if n > 1]
    standing, crowded = {}, []
    for row, who, state, label, until, now in connection.execute(
        "SELECT row, e.annotator, state, class, until, time FROM entries e JOIN events v ON v.id = event ORDER BY e.id"
    ):
        own = standing.setdefault(row, {})
        own[who] = state, label, until
        n_lent = sum(each[0] == "leased" and each[2] > now for each in own.values())
        if state == "leased" and n_lent > PLACES:
            crowded.append((row, who))
    derived = {
        (row, who): (state, label, until)
        for row, who, state, label, until in connection.execute(
            "SELECT row, annotator, state, class, until FROM standings"
        )
    }
    assert derived == {(row, who): own for row, each in standing.items() for who, own in each.items()}
    connection.close()
    return len(told), lost, doubled, crowded


def check_batches(folder, X, learner, places=PLACES):
    """Compare each batch with that of a learner that nobody ever killed, which reads the answers from the journal."""
    connection = sqlite3.connect(folder / FILE)
    values = [json.loads(v) for (v,) in connection.execute("SELECT value FROM classes ORDER BY id")]
    models = connection.execute("SELECT version, cut, base FROM models ORDER BY version").fetchall()
    n_batches, learners = 0, {}
    for version, cut, base in models:
        votes, skips = {}, set()
        for row, _, (state, label, _) in standings_by_hand(connection, cut):
            if state == "labelled":
                votes.setdefault(row, []).append(values[label - 1])
            elif state == "skipped":
                skips.add(row)
        y = np.full(len(X), UNLABELED)
        for row, own in votes.items():
            counts = Counter(own).most_common()
            if len(counts) == 1 or counts[0][1] > counts[1][1]:
                y[row] = counts[0][0]
        known = np.flatnonzero(y >= 0)
        if base is None:
            one = learner.fit(X, y)
        else:
            one = learners[base]
            one.forget(np.setdiff1d(np.flatnonzero(one.y_ >= 0), known), refit=False)
            one.unskip(np.setdiff1d(one.skipped_, sorted(skips - votes.keys())))
            one.teach(known, y[known], overwrite=True)
        one.skip(sorted(skips - votes.keys()))
        learners = {version: one}
        offered = []
        for batch, asked, n_asked, takes_over, strategy in connection.execute(
            "SELECT event, cut, n_asked, takes_over, strategy FROM batches WHERE model = ? ORDER BY event",
            (version,),
        ).fetchall():
            rows = [
                r
                for (r,) in connection.execute(
                    "SELECT row FROM offered WHERE batch = ? ORDER BY rank", (batch,)
                )
            ]
            if strategy != "RandomSampling":
                (now,) = connection.execute("SELECT time FROM events WHERE id = ?", (asked,)).fetchone()
                taken = [
                    row
                    for row, _, (state, _, until) in standings_by_hand(connection, asked)
                    if state in ("labelled", "skipped") or (state == "leased" and until > now)
                ]
                pending = sorted({*taken, *([] if takes_over else offered)})
                assert rows == one.query(n_queries=n_asked, pending=pending).tolist(), (version, batch)
                n_batches += 1
            offered += rows
    connection.close()
    return len(models), n_batches


def standings_by_hand(connection, cut):
    last = {}
    for row, who, *standing in connection.execute(
        "SELECT row, annotator, state, class, until FROM entries WHERE event <= ? ORDER BY id", (cut,)
    ):
        last[row, who] = standing
    return [(row, who, standing) for (row, who), standing in last.items()]


def run(n_kills, seed=0, share_of_migrations=0.2, longest=1.5):
    """Kill so often, check each time, and return what was found."""
    draws = np.random.default_rng(seed)
    found, n_migrations = Counter(), round(n_kills * share_of_migrations)
    with tempfile.TemporaryDirectory() as place:
        folder, phases = Path(place) / "campaign", [Path(place) / f"phase{i}" for i in range(4)]
        logs = [Path(place) / f"{name}.log" for name in NAMES]
        people_logs = list(zip(NAMES, logs, strict=True))
        Campaign(
            folder, plan(), X, n_annotators_per_row=PLACES, lease_seconds=LEASE, retrain_every=60, n_prepared=150,
            training=None,
        ).close()  # fmt: skip
        for i in range(n_kills - n_migrations):
            people = [(str(folder), name, 10 * i + j, str(log)) for j, (name, log) in enumerate(people_logs)]
            targets, args = [annotate] * 3 + [train], [*people, (str(folder),)]
            found += kill((targets, args), phases, longest * draws.random())
            n_told, lost, doubled, crowded = check(folder, logs)
            assert (lost, doubled, crowded) == ([], [], [])
        older = Path(place) / "older"
        with closing(sqlite3.connect(folder / FILE)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        for _ in range(n_migrations):
            shutil.rmtree(older, ignore_errors=True)
            shutil.copytree(folder, older)
            found += kill(([migrate], [(str(older),)]), phases[:1], 0.3 * draws.random())
            with closing(sqlite3.connect(older / FILE)) as connection:
                assert connection.execute("PRAGMA user_version").fetchone()[0] in (
                    len(MIGRATIONS),
                    len(MIGRATIONS) + 1,
                )
            Database(older, migrations=(*MIGRATIONS, ANOTHER)).close()
            connection = sqlite3.connect(older / FILE)
            assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
            assert connection.execute("SELECT count(*) FROM notes").fetchone() == (400,)
            connection.close()
        n_models, n_batches = check_batches(folder, X, plan())
    return {
        "kills": n_kills,
        "acknowledged": n_told,
        "models": n_models,
        "batches": n_batches,
        "phases": found,
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seed", type=int, default=0)
    begun = time.monotonic()
    found = run(n_kills=parser.parse_args().kills, seed=parser.parse_args().seed)
    print(
        f"{found['kills']} times four processes, or one that migrates, were killed: {found['acknowledged']} "
        f"acknowledged answers, 0 lost, 0 twice, no row lent to more than {PLACES}; {found['models']} models and "
        f"{found['batches']} batches as without a kill. {time.monotonic() - begun:.0f} s."
    )
    print("  ".join(f"{phase}: {found['phases'][phase]}" for phase in PHASES))

"""The reproduction page: the claims of the four papers, the results here, and the command behind each figure.

``python examples/papers/report.py`` writes docs/reproduction.md from the claims in claims.toml and the result files in
docs/results, which the papers' scripts write with ``--results docs/results``. These files are the only source of our
figures. A claim names a result file; its template selects the figures to show, and its ``checks`` are the conditions
under which the claim holds. A claim without a result file gives the reason why it was not run. If all checks hold, the
claim is reproduced. It is partly reproduced if only some hold, if there are fewer than three seeds, or if ``lacks``
names a difference from the paper's setting.

A figure is the name of a number, such as ``graph construction``, or a method and a quantity:

- ``margin: score 300`` is the mean accuracy in percent at 300 labels; ``score start`` and ``score end`` are the first
  and the last. The score of another metric is named in full, ``score_accuracy end``.
- ``margin: labels 98.5`` is the number of labels with which 98.5 % were first reached.
- ``entropy`` is the mean entropy of the queried rows, ``query`` the median and ``training`` the mean time in seconds:
  over all rounds or, as in ``entropy 280``, in the round that ended with 280 labels.
- ``share 3`` is the share of class 3 among the labels, in percent.
"""

from __future__ import annotations

import argparse
import json
import re
import tomllib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from _experiments import COLORS, markdown, plt, save

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
N_SEEDS = 3  # the least with which a claim is called reproduced
MOST = 0.8  # of the seeds, in which a check holds
MOST_CURVES = 14  # of a picture
PAPERS = ("ASAL", "ALCG", "DGAL", "WAAL")
INTRODUCTION = """# Reproduction

This page compares the claims of the four papers with the results of the runs here. `python examples/papers/report.py`
builds it from `examples/papers/claims.toml` and the result files in `docs/results`; no figure of ours was typed. A
claim that was tested has checks in `claims.toml`. A check compares means over the seeds; one of which is larger holds
only if it also holds in four of five seeds by themselves.

- *reproduced*: all checks hold.
- *partly*: only some checks hold, there are fewer than {n_seeds} seeds, or the run differs from the paper's as named in
  the verdict.
- *not reproduced*: no check holds.

"Quick" runs are cut down for two cores without a GPU, or for minutes with one; the [runs](#runs) list the cuts. Their
figures need not be the paper's, and a check asks for these only where the claim is about them. Figures are means over
the seeds, followed by [smallest, largest]. Times were measured on a machine that others used at the same time: compare
only times of the same run.

To try it yourself, start with `python examples/papers/asal.py mnist-two --quick --methods Random 'Maximal Entropy'
--seeds 0`, which takes five minutes on two cores. Ctrl-C stops it. The same command, with more methods or seeds,
continues after the runs that are finished.

Tables 1 and 3 of ASAL, Table 1 of DGAL, and Tables 2 and 3 of WAAL state settings, which are in the scripts. Where a
paper shows only curves, its figures here are those that its text gives."""


class Result:
    """A result file and its figures."""

    def __init__(self, name: str, content: dict[str, Any]) -> None:
        self.name, self.content = name, content

    def figure(self, text: str) -> np.ndarray[Any, Any]:
        """The values of a figure, one per seed."""
        if text in self.content["numbers"]:
            return np.atleast_1d(np.asarray(self.content["numbers"][text], dtype=float))
        method, _, quantity = text.rpartition(": ")
        curve = self.content["curves"].get(method)
        kind, _, place = quantity.partition(" ")
        if curve is None or not quantity:
            known = [*self.content["numbers"], *(f"{name}: ..." for name in self.content["curves"])]
            raise KeyError(f"{self.name} has no figure {text!r}; it has {known}")
        if kind in RECORDS:
            values = np.array(curve[RECORDS[kind]], dtype=float)
            if place:
                return values[:, position(curve["n_labeled"], place)]
            if kind == "training":
                return values.mean(axis=1)
            queries = values[:, 1:]  # none led to the initial labels
            # A mean would count the few that waited for other work of the machine.
            return np.median(queries, axis=1) if kind == "query" else queries.mean(axis=1)
        if kind == "share":
            counts = np.array(curve["class_counts"], dtype=float)
            return 100 * counts[:, int(place)] / counts.sum(axis=1)
        if kind == "labels":
            return np.array([first_at(run, curve["n_labeled"], float(place) / 100) for run in curve["score"]])
        scores = np.array(curve[kind], dtype=float) * (100 if kind in PERCENT else 1)
        return scores[:, position(curve["n_labeled"], place)]

    def seeds_of(self, text: str) -> int | None:
        """The number of seeds behind a figure; None where no seed is."""
        method = text.rpartition(": ")[0]
        found = self.content["curves"].get(method)
        return None if found is None or text in self.content["numbers"] else len(found["seeds"])


ENDS = {"start": 0, "end": -1}
RECORDS = {"entropy": "query_entropy", "query": "query_time", "training": "fit_time"}
PERCENT = ("score", "score_accuracy", "score_gan_test_accuracy")


def first_at(scores: Sequence[float], n_labeled: Sequence[int], target: float) -> float:
    """The labels with which a score was first reached; infinitely many if it never was."""
    return next((n for n, score in zip(n_labeled, scores, strict=True) if score >= target), np.inf)


def position(n_labeled: Sequence[int], place: str) -> int:
    """Which round a place names: "start", "end", or a number of labels."""
    return ENDS[place] if place in ENDS else list(n_labeled).index(int(place))


def written(values: np.ndarray[Any, Any]) -> str:
    """A figure as the page shows it, with its spread where there are several seeds."""
    known = values[np.isfinite(values)]
    if not len(known):
        return "never"
    text = digits(known.mean())
    if len(known) > 1:
        text += f" [{digits(known.min())}, {digits(known.max())}]"
    return text if len(known) == len(values) else f"{text} ({len(known)} of {len(values)} seeds)"


def digits(value: float) -> str:
    """Three or four digits, as a reader wants them."""
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.{4 if abs(value) >= 1 else 3}g}"


def holds(check: str, result: Result) -> bool:
    """Whether a check holds: two figures or numbers between which stand <, > or =, with "within".

    The means are compared, and for < and > also seed by seed, where both sides have as many.
    """
    found = re.fullmatch(r"(.+) ([<>=]) (.+?)(?: within (\S+))?", check)
    if found is None or (found[2] == "=") != (found[4] is not None):
        raise ValueError(
            f"the check {check!r} was not understood; write 'figure > figure' or 'a = b within 0.5'"
        )
    left, sign, right, within = found.groups()
    if sign == "<":
        left, right = right, left
    first, second = terms_of(left, result), terms_of(right, result)
    larger, smaller = (sum(float(term.mean()) for term in terms) for terms in (first, second))
    if sign == "=":
        return abs(larger - smaller) <= float(within)
    seeds = {len(term) for term in (*first, *second)} - {1}
    if len(seeds) > 1:  # of two methods that ran with other seeds, the means can be compared
        return larger > smaller
    return larger > smaller and float(np.mean(sum(first) > sum(second))) >= MOST


def terms_of(text: str, result: Result) -> list[np.ndarray[Any, Any]]:
    """The terms of a sum of numbers, figures, and numbers times figures, with a value per seed each."""
    return [term_of(term, result) for term in text.split(" + ")]


def term_of(text: str, result: Result) -> np.ndarray[Any, Any]:
    number, times, figure = text.rpartition(" * ")
    factor = float(number) if times else 1.0
    try:
        return np.array([factor * float(figure)])
    except ValueError:
        return factor * result.figure(figure)


def placeholders(template: str) -> list[str]:
    """The figures that a template shows."""
    return re.findall(r"\{([^{}]+)\}", template)


def verdict(claim: dict[str, Any], result: Result | None) -> str:
    """Whether a claim holds here."""
    if result is None:
        return f"not run: {claim['not_run']}"
    held = [holds(check, result) for check in claim["checks"]]
    seeds, lacks = fewest_seeds(claim, result), [claim["lacks"]] if "lacks" in claim else []
    if seeds is not None and seeds < N_SEEDS:
        lacks.append(f"{seeds} seed{'s' * (seeds > 1)}")
    if not any(held):
        return "not reproduced" + (f": {'; '.join(lacks)}" if lacks else "")
    if not all(held):
        return "; ".join([f"partly: {sum(held)} of {len(held)} checks hold", *lacks])
    return f"partly: holds, but {'; '.join(lacks)}" if lacks else "reproduced"


def fewest_seeds(claim: dict[str, Any], result: Result) -> int | None:
    """The smallest number of seeds behind the figures of a claim."""
    found = [result.seeds_of(text) for text in placeholders(claim["ours"])]
    return min((number for number in found if number is not None), default=None)


def row(claim: dict[str, Any], results: dict[str, Result]) -> list[str]:
    """A claim's line of the page."""
    name = claim.get("result")
    if name is None:
        return [claim["place"], claim["claim"], "", "", verdict(claim, None), claim.get("fair", "")]
    if name not in results:
        raise FileNotFoundError(
            f"there is no docs/results/{name}.json for the claim {claim['claim']!r}; run its script with --results, or "
            "say why it was not run: not_run = '...'"
        )
    result = results[name]
    ours, fair = (filled(claim.get(key, ""), result) for key in ("ours", "fair"))
    seeds = fewest_seeds(claim, result)
    if seeds:
        ours += f" ({seeds} seed{'s' * (seeds > 1)})"
    where = f"[{name}](#{name})"
    return [claim["place"], claim["claim"], ours, where, verdict(claim, result), fair]


def filled(template: str, result: Result) -> str:
    """A template with its figures."""
    return re.sub(r"\{([^{}]+)\}", lambda found: written(result.figure(found[1])), template)


def page(claims: Iterable[dict[str, Any]], results: dict[str, Result]) -> str:
    """The whole page."""
    claims = list(claims)
    header = ["where", "the paper", "here", "run", "verdict", "fair comparison, remarks"]
    parts, counts = [], []
    for paper in PAPERS:
        rows = [row(claim, results) for claim in claims if claim["paper"] == paper]
        verdicts = [cells[4].partition(":")[0] for cells in rows]
        kinds = ("reproduced", "partly", "not reproduced", "not run")
        counts.append([paper, *(verdicts.count(kind) for kind in kinds), len(rows)])
        parts += [f"## {paper}", markdown(header, rows)]
    summary = markdown(["paper", *kinds, "claims"], counts)
    runs = [described(result) for _, result in sorted(results.items())]
    return "\n\n".join([INTRODUCTION.format(n_seeds=N_SEEDS), summary, *parts, "## Runs", *runs]) + "\n"


def described(result: Result) -> str:
    """A run's part of the page."""
    content = result.content
    machine = content["machine"]
    seeds = {method: len(found["seeds"]) for method, found in content["curves"].items()}
    numbers = sorted(set(seeds.values()))
    counted = " to ".join(map(str, (numbers[:1] + numbers[1:][-1:])))
    lines = [
        f"### {result.name}",
        f"`{content['command']} --results docs/results`",
        content["setting"],
        "Cut, with the paper's value in brackets: " + "; ".join(content["cut"]) if content["cut"] else "",
        f"Seeds: {counted}; methods: {len(seeds)}; training and queries took {digits(content['seconds'])} s"
        if seeds
        else "",
        f"Machine: {machine['cores']} cores, {machine['threads']} of them used, {machine['gpu'] or 'no GPU'}; "
        + ", ".join(f"{package} {number}" for package, number in content["versions"].items()),
    ]
    if drawn(result):
        lines.append(f"![accuracy against labels](results/{result.name}.svg)")
    return "\n\n".join(line for line in lines if line)


def drawn(result: Result) -> dict[str, Any]:
    """The methods whose accuracy was seen in several rounds."""
    return {
        method: curve
        for method, curve in result.content["curves"].items()
        if "score" in curve and len(curve["n_labeled"]) > 1
    }


def draw(result: Result) -> None:
    """Accuracy against labels, the mean over the seeds and their range, to a small file.

    Where there are many methods, those with changes in brackets are left to the tables.
    """
    curves = drawn(result)
    if len(curves) > MOST_CURVES:
        curves = {method: curve for method, curve in curves.items() if "(" not in method}
    figure, axis = plt.subplots(figsize=(7.5, 3.5), layout="constrained")
    for (method, curve), color in zip(curves.items(), COLORS, strict=False):
        scores = 100 * np.array(curve["score"], dtype=float)
        axis.plot(curve["n_labeled"], scores.mean(axis=0), color=color, label=method)
        axis.fill_between(
            curve["n_labeled"], scores.min(axis=0), scores.max(axis=0), color=color, alpha=0.15, lw=0
        )
    axis.set(xlabel="labels", ylabel="accuracy, %")
    figure.legend(loc="outside right center", fontsize="small")
    with plt.rc_context({"svg.fonttype": "none", "svg.hashsalt": "skal"}):
        save(figure, DOCS / "results" / f"{result.name}.svg", metadata={"Date": None})


def read() -> tuple[list[dict[str, Any]], dict[str, Result]]:
    """The claims and the result files."""
    claims = tomllib.loads((HERE / "claims.toml").read_text())["claims"]
    files = sorted((DOCS / "results").glob("*.json"))
    return claims, {file.stem: Result(file.stem, json.loads(file.read_text())) for file in files}


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.parse_args(arguments)
    path = DOCS / "reproduction.md"
    claims, results = read()
    path.write_text(page(claims, results))
    for result in results.values():
        if drawn(result):
            draw(result)
    print(f"wrote {path}")


if __name__ == "__main__":
    main()

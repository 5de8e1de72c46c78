"""The gallery's examples: all have its form, and the short ones run. `.ci/full` runs all of them."""

import ast
import re
import runpy
from pathlib import Path

import numpy as np
import pytest
import torch

FOLDER = Path(__file__).parents[2] / "examples"
EXAMPLES = sorted(path.stem for path in FOLDER.glob("plot_*.py"))
SHORT = ("first_loop", "utilities", "label_diffusion", "honest_estimate", "costs")

# What would change other examples, which run in the same process, or another machine would not have.
UNWANTED = (
    r"\bargparse\b|random\.seed|manual_seed|set_config|rcParams|style\.use|mpl\.use|set_num_threads|[\"']/"
)


def test_there_are_twenty_examples():
    assert len(EXAMPLES) >= 20


@pytest.mark.parametrize("name", EXAMPLES)
def test_examples_have_the_form_of_the_gallery(name):
    source = (FOLDER / f"{name}.py").read_text(encoding="utf-8")
    _, title, line, blank, introduction, *_ = ast.get_docstring(ast.parse(source), clean=False).splitlines()
    assert line == "=" * len(title), "the docstring begins with a title"
    assert (blank, bool(introduction)) == ("", True)
    assert "\n# %%\n" in source, "text between the code"
    assert re.search(UNWANTED, source) is None
    for other in re.findall(r"sphx_glr_auto_examples_(\w+)\.py", source):
        assert other in EXAMPLES


@pytest.mark.parametrize("name", SHORT)
def test_short_examples_run_to_their_pictures(name, monkeypatch):
    plt = pytest.importorskip("matplotlib.pyplot")
    plt.close("all")  # what other tests left open
    plt.switch_backend("agg")
    shown = []
    monkeypatch.setattr(plt, "show", lambda: shown.extend(plt.get_fignums()))
    before = np.random.get_state()[1].copy(), torch.get_rng_state()  # noqa: NPY002
    try:
        runpy.run_path(str(FOLDER / f"plot_{name}.py"), run_name="__main__")
    finally:
        plt.close("all")
    assert shown
    assert (np.random.get_state()[1] == before[0]).all()  # noqa: NPY002
    assert torch.equal(torch.get_rng_state(), before[1])

"""The comparisons and the labelling of images, on a few rows."""

import runpy
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.testing import assert_array_equal

FOLDER = Path(__file__).parents[2] / "examples"

pytest.importorskip("matplotlib")


def test_strategies_and_criteria_are_compared(tmp_path, monkeypatch, capsys):
    monkeypatch.syspath_prepend(str(FOLDER))
    n_threads = torch.get_num_threads()
    try:
        for _ in range(2):  # the second time from what the first one kept
            arguments = ["--quick", "--folder", str(tmp_path), "--pools", "digits", "--settings", "few"]
            monkeypatch.setattr(sys, "argv", ["compare_strategies", *arguments])
            runpy.run_path(str(FOLDER / "compare_strategies.py"), run_name="__main__")
        first, second = capsys.readouterr().out.split("digits, few labels: 2 repeats")[1:]
        assert [line.split()[0] for line in second.splitlines()[2:5]] == ["TypiClust", "margin", "random"]
        assert first.splitlines()[2:5] == second.splitlines()[2:5]
        monkeypatch.setattr(sys, "argv", ["compare_strategies", *arguments[1:], "--table"])
        runpy.run_path(str(FOLDER / "compare_strategies.py"), run_name="__main__")
        assert "repeats" not in capsys.readouterr().out, "a result of --quick stands for no other"
        monkeypatch.setattr(sys, "argv", ["compare_stopping", "--quick", "--pools", "digits"])
        runpy.run_path(str(FOLDER / "compare_stopping.py"), run_name="__main__")
        assert "classification change     " in capsys.readouterr().out
        monkeypatch.setattr(sys, "argv", ["honest_estimate", "--quick", "--pools", "digits"])
        runpy.run_path(str(FOLDER / "honest_estimate.py"), run_name="__main__")
        uniform, active = capsys.readouterr().out.splitlines()[1:]
        assert uniform.split()[:2] == ["digits", "uniform"]
        assert active.split()[:2] == ["digits", "active"]
    finally:
        torch.set_num_threads(n_threads)


def test_images_are_labelled(tmp_path, monkeypatch, capsys):
    pytest.importorskip("starlette")
    output = tmp_path / "labels.csv"
    monkeypatch.setattr(sys, "argv", ["example", "--quick", "--output", str(output)])
    runpy.run_path(str(FOLDER / "label_images.py"), run_name="__main__")
    printed = capsys.readouterr().out
    assert "60 of 150 rows are labelled" in printed
    assert [line.partition(":")[0].strip() for line in printed.splitlines()[-2:]] == ["page", "random"]
    names, *lines = output.read_text().splitlines()
    assert names == "item,row,label,probability,n_answers"
    assert len(lines) == 60
    assert all(line.split("/")[0] == line.split(",")[2] for line in lines)


def test_a_run_that_is_stopped_leaves_no_half_of_a_file(scripts, tmp_path, monkeypatch):
    experiments, file = scripts["_experiments"], tmp_path / "margin-0.npz"

    def stopped(half, **_):
        half.write(b"PK")
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(np, "savez", stopped)
        with pytest.raises(KeyboardInterrupt):
            experiments.save_arrays(file, {"score": [0.5]})
    assert not file.exists()
    experiments.save_arrays(file, {"score": [0.5]})
    assert_array_equal(experiments.read_arrays(file)["score"], [0.5])
    assert list(tmp_path.iterdir()) == [file]

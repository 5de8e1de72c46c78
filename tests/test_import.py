"""`import skal` is light, and does not need torchvision, whose compiled ops cannot load everywhere."""

from .processes import run_fresh

HEAVY = ["torchvision", "timm", "pynndescent", "numba", "matplotlib", "polars"]


def test_heavy_packages_are_imported_where_they_are_used():
    code = "import sys, skal.strategies, skal.classifiers; assert not heavy & {*sys.modules}"
    run_fresh(code, heavy={*HEAVY})


def test_torchvision_may_be_broken():
    run_fresh("import sys; sys.modules['torchvision'] = None; import skal, skal.classifiers, skal.plotting")


def test_the_command_says_which_extra_it_needs():
    code = """
import contextlib, io, sys
sys.modules["starlette"] = None
from skal.__main__ import main
remedy = "pip install 'skal-learn[annotate]'"
for arguments in (["label", "photos"], ["label", "--help"]):
    with contextlib.redirect_stderr(io.StringIO()) as said:
        assert main(arguments) == 2
    assert remedy in said.getvalue() and said.getvalue().count("\\n") == 1, said.getvalue()
with contextlib.redirect_stdout(io.StringIO()) as said:
    try:
        main(["--help"])
    except SystemExit as end:
        assert end.code == 0
assert remedy in said.getvalue(), said.getvalue()
"""
    run_fresh(code)

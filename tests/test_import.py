"""`import skal` is light, and does not need torchvision, whose compiled ops cannot load everywhere."""

from .processes import run_fresh

HEAVY = ["torchvision", "timm", "pynndescent", "numba", "matplotlib", "polars"]


def test_heavy_packages_are_imported_where_they_are_used():
    code = "import sys, skal.strategies, skal.classifiers; assert not heavy & {*sys.modules}"
    run_fresh(code, heavy={*HEAVY})


def test_torchvision_may_be_broken():
    run_fresh("import sys; sys.modules['torchvision'] = None; import skal, skal.classifiers, skal.plotting")

"""`import skal` is light, and does not need torchvision, whose compiled ops cannot load everywhere."""

import subprocess
import sys

HEAVY = ["torchvision", "timm", "pynndescent", "numba", "matplotlib", "polars"]


def test_heavy_packages_are_imported_where_they_are_used():
    code = f"import sys, skal.strategies, skal.classifiers; print([m for m in {HEAVY} if m in sys.modules])"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == "[]"


def test_torchvision_may_be_broken():
    code = "import sys; sys.modules['torchvision'] = None; import skal, skal.classifiers, skal.plotting"
    subprocess.run([sys.executable, "-c", code], check=True)

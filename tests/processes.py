"""Processes that have not imported skal. They start with torch and scikit-learn, which take seconds, at hand."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor

FRESH = multiprocessing.get_context("forkserver")
FRESH.set_forkserver_preload(["torch", "sklearn", "skorch", "scipy.stats"])


def run_fresh(code, **names):
    """Run code, for which warnings are errors, in a process of its own; what it raises is raised here."""
    with ProcessPoolExecutor(1, FRESH) as executor:
        executor.submit(exec, f"import warnings\nwarnings.simplefilter('error')\n{code}", names).result()

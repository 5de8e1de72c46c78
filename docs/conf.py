"""Sphinx configuration: ``sphinx-build docs docs/_build``."""

import re

import skal

project = "skal"
release = skal.__version__
extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "sphinx.ext.mathjax", "numpydoc", "myst_parser"]
exclude_patterns = ["_build"]
myst_heading_anchors = 3  # the runs on the page of reproduction
numpydoc_class_members_toctree = False
autosummary_generate = True
numpydoc_show_class_members = False
html_theme = "alabaster"


def setup(app):
    app.connect("autodoc-process-docstring", _without_foreign_labels)


def _without_foreign_labels(app, what, name, obj, options, lines):
    """Methods that are inherited from scikit-learn refer to labels of its own documentation."""
    if (getattr(obj, "__module__", None) or "").startswith("sklearn."):
        lines[:] = [re.sub(r":ref:`([^<`]+?)\s*<[^>]+>`", r"\1", line) for line in lines]

"""Sphinx configuration: ``sphinx-build docs docs/_build``."""

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

"""Sphinx configuration: ``sphinx-build docs docs/_build``; ``-D plot_gallery=0`` runs no script of the gallery."""

import re
import warnings

from latex2mathml.converter import convert

import skal

project = "skal"
author = "The skal developers"
release = skal.__version__
extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "numpydoc",
    "myst_parser",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["_build", "_templates"]
templates_path = ["_templates"]
autosummary_generate = True
numpydoc_class_members_toctree = False
numpydoc_show_class_members = False
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3  # the runs on the page of reproduction

copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True

html_theme = "pydata_sphinx_theme"
html_title = "skal"
html_show_sourcelink = False
html_static_path = ["_static"]
html_css_files = ["skal.css"]
html_sidebars = {
    "generated/*": [],  # the list of all names on each of their pages takes a third of the build
    **{page: [] for page in ("five_minutes", "which_strategy", "api")},  # nothing below them
}
html_theme_options = {
    "show_toc_level": 2,
    "navigation_with_keys": False,
    "navigation_depth": 2,
    "collapse_navigation": True,
    "show_nav_level": 0,
    "navbar_align": "left",
    "header_links_before_dropdown": 7,
    "footer_start": ["copyright"],
    "footer_end": ["theme-version"],
}
html_math_renderer = "mathml"

sphinx_gallery_conf = {
    "examples_dirs": "../examples",
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"/plot_",
    "ignore_pattern": r"^(?!plot_)",  # of a file's name
    "within_subsection_order": "FileNameSortKey",
    "download_all_examples": False,
    "remove_config_comments": True,
    "parallel": True,
    "show_memory": False,
    "show_signature": False,
    "write_computation_times": False,
    "plot_gallery": "True",
}
warnings.filterwarnings("ignore", message="Matplotlib is currently using agg")


def setup(app):
    app.add_html_math_renderer("mathml", (_inline_math, None), (_displayed_math, None))
    app.connect("autodoc-process-docstring", _without_foreign_labels)


def _inline_math(translator, node):
    """As MathML, which every browser draws without a script, offline too."""
    _draw(translator, node, "inline")


def _displayed_math(translator, node):
    _draw(translator, node, "block")


def _draw(translator, node, display):
    from docutils.nodes import SkipNode

    formula = convert(node.astext(), display=display)
    if display == "block":  # room between equations; wide ones scroll on a phone
        formula = f'<div style="overflow-x: auto; padding: 0.6em 0">{formula}</div>'
    translator.body.append(formula)
    raise SkipNode


def _without_foreign_labels(app, what, name, obj, options, lines):
    """Methods that are inherited from scikit-learn refer to labels of its own documentation."""
    if (getattr(obj, "__module__", None) or "").startswith("sklearn."):
        lines[:] = [re.sub(r":ref:`([^<`]+?)\s*<[^>]+>`", r"\1", line) for line in lines]

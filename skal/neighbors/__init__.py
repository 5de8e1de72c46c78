"""Nearest rows of a pool: an exact index that skips most rows, an approximate one, matching without replacement.

An index is any object with scikit-learn's ``fit(X)`` and ``kneighbors(X, n_neighbors)``.
"""

from .answers import checked_answer
from .cell_index import CellIndex
from .components import principal_components
from .graph_index import GraphIndex
from .making import make_index
from .matching import match

__all__ = ["CellIndex", "GraphIndex", "checked_answer", "make_index", "match", "principal_components"]

"""The one idea of a pool: rows of any container, validated once, never copied."""

from .base import Pool
from .blocks import as_pool, blockwise, dense, row_blocks
from .rows import NO_ROWS, Candidates, Rows, check_positions
from .validation import assuming_finite, check_features, check_pool, check_readable

__all__ = [
    "NO_ROWS",
    "Candidates",
    "Pool",
    "Rows",
    "as_pool",
    "assuming_finite",
    "blockwise",
    "check_features",
    "check_pool",
    "check_positions",
    "check_readable",
    "dense",
    "row_blocks",
]

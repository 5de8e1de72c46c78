"""Pools: the rows of any container, validated once and never copied."""

from .base import Pool
from .blocks import as_pool, dense, first_flawed, owned, row_blocks
from .dask_arrays import DaskPool
from .mappings import MappingPool, parts
from .passes import blockwise, executed, kept
from .rows import NO_ROWS, Candidates, Part, Rows, check_positions
from .stored import StoredPool
from .torch_datasets import DatasetPool, DatasetRows
from .validation import (
    assuming_finite,
    check_features,
    check_pool,
    check_readable,
    check_sparse,
    check_texts,
    warn_of,
)

__all__ = [
    "NO_ROWS",
    "Candidates",
    "DaskPool",
    "DatasetPool",
    "DatasetRows",
    "MappingPool",
    "Part",
    "Pool",
    "Rows",
    "StoredPool",
    "as_pool",
    "assuming_finite",
    "blockwise",
    "check_features",
    "check_pool",
    "check_positions",
    "check_readable",
    "check_sparse",
    "check_texts",
    "dense",
    "executed",
    "first_flawed",
    "kept",
    "owned",
    "parts",
    "row_blocks",
    "warn_of",
]

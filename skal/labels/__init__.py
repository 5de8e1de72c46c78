"""Partial labels: one entry per row, with a marker where the label is not known.

Integer labels mark an unlabelled row with :data:`UNLABELED` (-1), as scikit-learn's semi-supervised
estimators do. String and object labels mark it with ``None``, NaN or NA; -1 among strings is a marker, too.

Markers and kinds of labels are handled here. Everywhere else labels are :class:`Labels`: integer codes with their
classes.
"""

from .codes import Labels, encode, plain
from .marking import check_new_labels, check_partial_labels, check_same_kind, is_numeric, labeled_mask
from .reading import UNLABELED, is_missing, read_labels

__all__ = [
    "UNLABELED",
    "Labels",
    "check_new_labels",
    "check_partial_labels",
    "check_same_kind",
    "encode",
    "is_missing",
    "is_numeric",
    "labeled_mask",
    "plain",
    "read_labels",
]

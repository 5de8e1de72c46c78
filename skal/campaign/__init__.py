"""Labelling campaigns: a journal that remembers everything, annotators, consensus, and training in the background."""

from .agreement import Agreement, agreement
from .campaign import Campaign
from .consensus import Consensus, dawid_skene, majority
from .importing import Conflict, ImportReport
from .journal import Settings
from .progress import Progress
from .syncing import SyncReport, Told

__all__ = [
    "Agreement",
    "Campaign",
    "Conflict",
    "Consensus",
    "ImportReport",
    "Progress",
    "Settings",
    "SyncReport",
    "Told",
    "agreement",
    "dawid_skene",
    "majority",
]

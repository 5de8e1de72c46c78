"""Checks for your own strategy, and of an installation: ``python -m skal.testing``."""

from .strategy import check_strategy

__all__ = ["check_strategy"]

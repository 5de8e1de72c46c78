"""Label Studio: a campaign's rows are labelled there, in the order of the strategy."""

from .bridge import LabelStudio

__all__ = ["LabelStudio"]

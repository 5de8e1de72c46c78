"""Deep active learning with scikit-learn's manners."""

__version__ = "0.1.dev0"

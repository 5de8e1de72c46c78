"""What learns where nothing else is said, by the kind of the items."""

from __future__ import annotations

from typing import Any

from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.feature_extraction.text import HashingVectorizer, TfidfTransformer, TfidfVectorizer
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from ...learner import ActiveLearner
from ...strategies import TypiClust, UncertaintySampling
from .items import Items

_LOOKED_AT = 200  # texts, to see how they are written
_LONG_WORDS = 15.0  # characters in the mean, which words between spaces do not have


def default_learner(items: Items) -> ActiveLearner:
    """A learner that trains within seconds: margin sampling, after a start with typical items.

    Parameters
    ----------
    items : Items

    Returns
    -------
    learner : ActiveLearner
        Logistic regression: of edges and colours of images, of weighted words of texts, of scaled numbers and one-hot
        words of tables.

    Examples
    --------
    >>> from skal.campaign.page import default_learner
    >>> from skal.campaign.page.texts import Texts
    >>> default_learner(Texts(["a text", "another text"])).strategy
    UncertaintySampling()
    """
    classifier, embedding = _PARTS[items.kind](items)
    return ActiveLearner(
        classifier, UncertaintySampling("margin"), cold_start=TypiClust(embedding), random_state=0
    )


def _for_images(_: Items) -> tuple[Any, Any]:
    return LogisticRegression(C=3, max_iter=1000), "input"


def _for_texts(items: Items) -> tuple[Any, Any]:
    split = _split(items.raw()[:_LOOKED_AT])
    words = TfidfVectorizer(sublinear_tf=True, max_features=100_000, **split)
    # Hashed words need no vocabulary, which may have fewer words than there are components.
    typical = make_pipeline(
        HashingVectorizer(n_features=2**14, **split), TfidfTransformer(), TruncatedSVD(min(50, len(items)))
    )
    return make_pipeline(words, LogisticRegression(C=30, max_iter=1000)), typical


def _split(texts: list[str]) -> dict[str, Any]:
    """How texts are taken apart: into words, or into characters where there are no spaces between words."""
    words = [word for text in texts for word in text[:1000].split()]
    if sum(map(len, words)) > _LONG_WORDS * len(words):
        return {"analyzer": "char", "ngram_range": (1, 3)}
    return {"token_pattern": r"(?u)\b\w+\b", "ngram_range": (1, 2)}


def _for_tables(items: Items) -> tuple[Any, Any]:
    frame = items.raw()
    numbers = [name for name in frame.columns if frame[name].dtype.kind in "iufb"]
    others = [name for name in frame.columns if frame[name].dtype.kind not in "iufb"]
    scaled = make_pipeline(SimpleImputer(add_indicator=True, keep_empty_features=True), StandardScaler())
    coded = OneHotEncoder(handle_unknown="infrequent_if_exist", max_categories=50, sparse_output=False)
    parts = [("numbers", scaled, numbers)] * bool(numbers) + [("words", coded, others)] * bool(others)
    classifier = make_pipeline(ColumnTransformer(parts), LogisticRegression(max_iter=1000))
    return classifier, ColumnTransformer(parts)


_PARTS = {"image": _for_images, "text": _for_texts, "table": _for_tables}

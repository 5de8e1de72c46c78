"""Every strategy answers on raw texts: by the classifier's pipeline, an encoder, or steps before the learner."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import BaggingClassifier
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

from skal import ActiveLearner, strategies
from skal.classifiers import NetClassifier
from skal.strategies import SynthesisStrategy
from tests.networks import tiny_acgan, tiny_gan, tiny_learning_loss, tiny_vaal, tiny_wasserstein

WORDS = [["ball", "goal", "team", "score"], ["flour", "oven", "sugar", "bake"]]
RNG = np.random.default_rng(0)
TRUTH = np.arange(120) % 2
TEXTS = [" ".join([*RNG.choice(WORDS[label], 3), *RNG.choice(np.ravel(WORDS), 2)]) for label in TRUTH]
Y = np.where(np.arange(120) < 24, TRUTH, -1)


def numbers():
    return TfidfVectorizer(), TruncatedSVD(4, random_state=0)


def logistic():
    return LogisticRegression(max_iter=1000)


# Those that ask the classifier: (strategy, last step of the pipeline).
BY_CLASSIFIER = {
    "RandomSampling": (strategies.RandomSampling(), logistic()),
    "UncertaintySampling": (strategies.UncertaintySampling(), logistic()),
    "CoreSet": (strategies.CoreSet(), logistic()),
    "KMedian": (strategies.KMedian(max_iter=2), logistic()),
    "BADGE": (strategies.BADGE(), logistic()),
    "RandomSubset": (strategies.RandomSubset(40), logistic()),
    "ClassBalanced": (strategies.ClassBalanced(), logistic()),
    "SEALS": (strategies.SEALS("classifier", n_neighbors=5), logistic()),
    "QueryByCommittee": (strategies.QueryByCommittee(), BaggingClassifier(logistic(), 5)),
    "Switch": (strategies.Switch(when=20), logistic()),
    "CostAware": (strategies.CostAware(cost=lambda texts: [len(text) for text in texts]), logistic()),
    "BAIT": (strategies.BAIT(), logistic()),
    "BatchBALD": (strategies.BatchBALD(), BaggingClassifier(logistic(), 5)),
    "ExpectedErrorReduction": (strategies.ExpectedErrorReduction(n_candidates=20), logistic()),
    "DropQuery": (strategies.DropQuery(), logistic()),
    "DiffusionSampling": (strategies.DiffusionSampling(), logistic()),
    "DensityWeighted": (strategies.DensityWeighted(), logistic()),
    "ContrastiveAL": (strategies.ContrastiveAL(), logistic()),
    "DiscriminativeAL": (strategies.DiscriminativeAL(), logistic()),
    "BALD": (strategies.BALD(3), NetClassifier(module_params={"dropout": 0.3}, max_epochs=5)),
    "LearningLoss": (strategies.LearningLoss(), tiny_learning_loss(max_epochs=5)),
    "VAAL": (strategies.VAAL(), tiny_vaal(max_epochs=5)),
    "WAAL": (strategies.WAAL(), tiny_wasserstein(max_epochs=5)),
    "ALCG": (strategies.ALCG(), tiny_acgan()),
}
# Those that compare rows, in an encoder's codes.
BY_ENCODER = {
    "CoreSet": lambda encoder: strategies.CoreSet(encoder),
    "KMedian": lambda encoder: strategies.KMedian(encoder, max_iter=2),
    "DGAL": lambda encoder: strategies.DGAL(encoder, n_candidates=40),
    "DiffusionSampling": lambda encoder: strategies.DiffusionSampling(encoder),
    "TypiClust": lambda encoder: strategies.TypiClust(encoder),
    "ProbCover": lambda encoder: strategies.ProbCover(encoder),
    "MaxHerding": lambda encoder: strategies.MaxHerding(encoder),
    "SEALS": lambda encoder: strategies.SEALS(encoder, n_neighbors=5),
}
# Those that need gradients or make rows: texts become numbers before the learner.
BEFORE = {
    "ASAL": strategies.ASAL(tiny_gan(), n_steps=3),
    "GAAL": strategies.GAAL(tiny_gan(), n_steps=3),
    "ADBA": strategies.ADBA(),
    "DeepFool": strategies.DeepFool(3),
}


def test_no_strategy_is_left_out():
    bases = {"QueryStrategy", "ScoreStrategy", "CandidateStrategy", "EmbeddingStrategy", "SynthesisStrategy"}
    bases |= {"CriterionStrategy"}
    known = {name for name in strategies.__all__ if hasattr(getattr(strategies, name), "fit")} - bases
    assert known == BY_CLASSIFIER.keys() | BY_ENCODER.keys() | BEFORE.keys()


def check(learner):
    rows = learner.query()
    assert_array_equal(learner.query(list(TEXTS)), rows)
    assert len(set(rows)) == 5
    assert (Y[rows] < 0).all()
    assert learner.teach(rows, TRUTH[rows]).score(TEXTS, TRUTH) > 0.6


@pytest.mark.parametrize("name", BY_CLASSIFIER)
def test_asked_through_the_pipeline(name):
    strategy, last = BY_CLASSIFIER[name]
    check(ActiveLearner(make_pipeline(*numbers(), last), strategy, n_queries=5, random_state=0).fit(TEXTS, Y))


@pytest.mark.parametrize("name", BY_ENCODER)
def test_asked_through_an_encoder(name):
    strategy = BY_ENCODER[name](make_pipeline(*numbers()))
    classifier = make_pipeline(TfidfVectorizer(), logistic())
    check(ActiveLearner(classifier, strategy, n_queries=5, random_state=0).fit(TEXTS, Y))


@pytest.mark.parametrize("name", BEFORE)
def test_asked_behind_the_steps(name):
    pipeline = make_pipeline(
        *numbers(), ActiveLearner(logistic(), BEFORE[name], n_queries=5, random_state=0)
    ).fit(TEXTS, Y)
    learner = pipeline[-1]
    if isinstance(BEFORE[name], SynthesisStrategy):
        assert np.isfinite(learner.synthesize()).all()
    else:
        rows = learner.query()
        assert_array_equal(learner.query(learner.X_), rows)
        assert (Y[rows] < 0).all()
        learner.teach(rows, TRUTH[rows])
    assert pipeline.score(TEXTS, TRUTH) > 0.6

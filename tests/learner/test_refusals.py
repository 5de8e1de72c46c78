"""What a learner refuses, before anything is trained or recorded."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_array_equal
from scipy import sparse
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import TruncatedSVD
from sklearn.ensemble import RandomForestRegressor
from sklearn.exceptions import FitFailedWarning
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from torch import nn

from skal import ActiveLearner, SimulatedLearner
from skal.classifiers import BoundarySVC, CNNClassifier, NetClassifier
from skal.strategies import BADGE, CoreSet, RandomSampling, RandomSubset, UncertaintySampling
from tests.learner.common import TRUTH, Noise, X, Y, learner, logistic


def test_a_classifier_that_lacks_what_the_strategy_requires_is_not_trained():
    class Silent(LogisticRegression):
        def __getattribute__(self, name):
            if name in ("predict_proba", "predict_log_proba"):
                raise AttributeError(name)
            return super().__getattribute__(name)

        def fit(self, X, y):
            pytest.fail("it was trained")

    with pytest.raises(TypeError, match="predict_proba"):
        learner(estimator=Silent()).fit(X, Y)


@pytest.mark.parametrize(
    "regressor",
    [Ridge(), make_pipeline(StandardScaler(), RandomForestRegressor(2))],
    ids=["alone", "pipeline"],
)
def test_a_regressor_is_no_classifier(regressor):
    with pytest.raises(TypeError, match="is a regressor, and a learner needs a classifier"):
        learner(estimator=regressor, strategy=CoreSet()).fit(X, Y)


@pytest.mark.parametrize("table", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"])
def test_a_table_in_place_of_its_column_of_texts(table):
    texts = ["good film", "poor film", "nice day", "bad day"] * 5
    frame, y = table({"text": texts}), ["p", "n", *[None] * 18]
    reader, latent = (make_pipeline(TfidfVectorizer(), last) for last in (logistic(), TruncatedSVD(2)))
    for estimator, strategy in [(reader, RandomSampling()), (reader, CoreSet(latent))]:
        with pytest.raises(ValueError, match=r"reads one text per row.*columns \['text'\].*table\['text'\]"):
            learner(estimator=estimator, strategy=strategy).fit(frame, y)
        assert len(learner(estimator=estimator, strategy=strategy).fit(frame["text"], y).query()) == 5
    with pytest.raises(ValueError, match="TfidfVectorizer reads one text per row"):
        CoreSet(latent).fit(frame)
    chosen, listed = (
        make_pipeline(ColumnTransformer([("words", TfidfVectorizer(), columns)]), logistic())
        for columns in ("text", ["text"])
    )
    assert len(learner(estimator=chosen).fit(frame, y).query()) == 5
    if table is pd.DataFrame:  # polars fails by itself
        for labels in (y, ["p", "n"] * 10):  # few, and enough
            with pytest.raises(ValueError, match="inconsistent numbers of samples") as caught:
                learner(estimator=listed).fit(frame, labels)
            assert "'text' instead of ['text']" in caught.value.__notes__[0]


def test_arrays_of_words_are_no_tables():
    words = np.array([["a", "b"], ["a", "c"]] * 10, dtype=object)
    reader = make_pipeline(CountVectorizer(analyzer=list), logistic())
    assert len(learner(estimator=reader).fit(words, ["p", "n", *[None] * 18]).query()) == 5


class SevenLogits(nn.Linear):
    def __init__(self):
        super().__init__(4, 7)


@pytest.mark.parametrize(
    ("classifier", "message"),
    [
        (NetClassifier(device="cuda:99"), "is not there"),
        (NetClassifier(device="gpu"), "is not a device"),
        (NetClassifier(amp=True, dtype="float64"), "bfloat16"),
        (CNNClassifier(image_shape=(1, 9, 9)), "holds 81 numbers"),
        (CNNClassifier(image_shape=(1, 0, 9)), "positive integers"),
        (NetClassifier(augment=lambda rows: rows[:1]), "augment returned"),
        (NetClassifier(SevenLogits), "the module returned shape"),
        (CNNClassifier("lenet_waal", image_shape=(1, 2, 2)), "needs images of at least"),
        (make_pipeline(FunctionTransformer(lambda rows: rows[:2]), logistic()), "inconsistent numbers"),
        (make_pipeline(FunctionTransformer(lambda rows: rows[:, None, None]), logistic()), "with dim 4"),
        (
            make_pipeline(FunctionTransformer(lambda rows: np.full((len(rows), 1), "a")), logistic()),
            "to float",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else type(value).__name__,  # no address of a function
)
def test_more_labels_would_not_help(classifier, message):
    with pytest.raises(ValueError, match=message):
        learner(estimator=classifier, strategy=CoreSet("input")).fit(
            X, np.where(np.arange(150) % 70, -1, TRUTH)
        )


class Three(nn.Module):
    """More labels cure what this one refuses."""

    def __init__(self, n_classes):
        super().__init__()
        if n_classes < 3:
            raise ValueError("three classes or more, please")
        self.linear = nn.Linear(4, n_classes)

    def forward(self, rows):
        return self.linear(rows)


def test_more_labels_help_a_module_that_wants_more_classes():
    y = np.where(np.arange(150) % 70 < 1, TRUTH, -1)
    y[TRUTH == 2] = -1
    with pytest.warns(FitFailedWarning, match="three classes or more"):
        fitted = learner(estimator=NetClassifier(Three, max_epochs=1), strategy=CoreSet("input")).fit(X, y)
    assert fitted.teach([149], [2]).predict(X).shape == (150,)


def test_a_function_in_place_of_a_strategy():
    with pytest.raises(ValueError, match="A function that scores rows becomes the _score of a ScoreStrategy"):
        learner(strategy=lambda classifier, X: X[:, 0]).fit(X, Y)


def test_a_strategy_that_scores_no_rows_says_so():
    fitted = learner(strategy=BADGE()).fit(X, Y)
    with pytest.raises(AttributeError) as caught:
        fitted.score_samples(X)
    assert "BADGE scores no rows" in str(caught.value.__cause__)


@pytest.mark.parametrize("n_queries", [0, -1, 2.5])
def test_bad_numbers_of_queries(n_queries):
    with pytest.raises(ValueError, match=f"n_queries={n_queries}"):
        learner().fit(X, Y).query(n_queries=n_queries)
    with pytest.raises(ValueError, match=f"n_queries={n_queries}"):
        learner(strategy=Noise()).fit(X, Y).synthesize(n_queries)


def test_a_number_in_place_of_a_pool():
    with pytest.raises(TypeError, match=r"query takes a pool, not 5; query\(n_queries=5\) asks for rows"):
        learner().fit(X, Y).query(5)


def test_query_and_synthesize_name_one_another():
    with pytest.raises(TypeError, match=r"Noise makes samples .* learner.synthesize\(n\)"):
        learner(strategy=Noise()).fit(X, Y).query()
    with pytest.raises(TypeError, match=r"UncertaintySampling chooses rows .* learner.query\(\)"):
        learner().fit(X, Y).synthesize()


@pytest.mark.parametrize(
    ("rows", "labels", "message"),
    [
        ([1, 1], [0, 0], r"rows \[1\] are given more than once"),
        ([1, 10], [0, 2], r"rows \[10\] are labelled already"),
        ([150], [0], r"rows \[150\] are out of range"),
        ([1], [-1], r"positions \[0\] are unlabelled \(-1\)"),
        (
            [1, 2],
            [0.0, np.nan],
            r"positions \[1\] are unlabelled \(nan\); leave those rows out of this call instead.$",
        ),
        (
            [1, 2],
            [True, False],
            r"are \[0, 1, 2\] and the new ones booleans, which go with 0 and 1",
        ),
        ([1, 2], pd.array([True, False]), "the new ones booleans, which go with 0 and 1"),
        (X[:1], [0], r"float64 and shape \(1, 4\) were given.* not the rows themselves"),
        (
            ["x"],
            [0],
            r"rows \['x'\] were given, and the rows of this pool have no ids.* fit\(X, y, ids=...\)",
        ),
        ([1], ["setosa"], "are like 0 and the new ones like 'setosa'; give all of them as numbers"),
    ],
)
def test_bad_teaching_records_nothing(rows, labels, message):
    fitted = learner().fit(X, Y)
    state = fitted._state
    with pytest.raises(ValueError, match=message):
        fitted.teach(rows, labels)
    assert fitted._state is state


@pytest.mark.parametrize("classes", [[0, 1], [False, True]])
def test_booleans_are_zero_and_one(classes):
    two = np.where(Y < 0, -1, np.minimum(Y, 1))
    fitted = learner(classes=classes).fit(X, two).teach([1, 2], [True, False])
    assert_array_equal(fitted.y_[[1, 2]], [1, 0])


@pytest.mark.parametrize(
    ("strategy", "classifier", "message"),
    [
        (
            UncertaintySampling,
            logistic(),
            r"'strategy' parameter.*It is a class; write UncertaintySampling\(\)",
        ),
        (RandomSubset(3, BADGE), logistic(), r"'criterion' parameter.*It is a class; write BADGE\(\)"),
        ("margin", logistic(), r"'strategy' parameter.*Got 'margin' instead.$"),
    ],
)
def test_a_class_in_place_of_an_instance_is_named(strategy, classifier, message):
    with pytest.raises(ValueError, match=message):
        ActiveLearner(classifier, strategy).fit(X, Y)


def test_classes_are_of_the_kind_of_labels():
    with pytest.raises(
        ValueError, match=r"classes=\['a', 'b'\] was given, and y has labels like 0; give both"
    ):
        learner(classes=["a", "b"]).fit(X, Y)


def test_bad_extensions_record_nothing():
    fitted = learner().fit(X, Y, sample_weight=np.ones(150))
    state = fitted._state
    for rows, labels, params, message in (
        (X[:2], ["a", "b"], {"sample_weight": [1, 1]}, "give all of them as numbers"),
        (X[:2], [0, 1], {"sample_weight": [1, 1, 1]}, "a value for each of the 2 samples"),
        (X[:2], [0, 1], {"sample_weight": [1, 1], "other": [1, 1]}, r"\['other', 'sample_weight'\]"),
        (X[:2], [0, 1], {"sample_weight": [[1], [1]]}, "of the same shape and kind"),
        (X[:2], [0, 1], {"sample_weight": ["1", "1"]}, "of the same shape and kind"),
        (X[:2], [0, 1], {"sample_weight": [1, np.nan]}, "finite"),
        (X[:2], [0], {"sample_weight": [1, 1]}, "2 rows and 1 labels"),
        (
            sparse.csr_array(X[:2]),
            [0, 1],
            {"sample_weight": [1, 1]},
            "a scipy.csr_array, and those of the pool",
        ),
    ):
        with pytest.raises(ValueError, match=message):
            fitted.extend(rows, labels, **params)
    assert fitted._state is state


def test_a_pretrained_classifier_takes_no_new_class():
    fitted = learner(estimator=FrozenEstimator(logistic().fit(X, TRUTH))).fit(X, Y)
    for change in (lambda: fitted.teach([1], [3]), lambda: fitted.extend(X[:1], [3])):
        with pytest.raises(ValueError, match=r"\[3\] are unknown to the pretrained classifier"):
            change()


def binary():
    return ActiveLearner(make_pipeline(StandardScaler(), BoundarySVC()), RandomSampling(), random_state=0)


PAIRS = np.where(np.arange(150) < 20, np.arange(150) % 2, -1)


@pytest.mark.parametrize(
    "teach",
    [
        lambda learner: learner.teach([30], [2]),
        lambda learner: learner.teach([30, 31], [2, 3], refit=False),
        lambda learner: learner.extend(X[:1] + 1, [2]),
        lambda learner: learner.extend(X[:1] + 1, [0], keys=["a"]).teach(
            extension=["a"], y=[2], overwrite=True
        ),
        lambda learner: learner.grow(np.r_[X, X[:1] + 1], [2]),
        lambda learner: learner.set_params(classes=[0, 1, 2]).teach([30], [1]),
    ],
)
def test_a_third_class_of_a_binary_classifier_is_not_recorded(teach):
    learner = binary().fit(X, PAIRS)
    with pytest.raises(
        ValueError, match=r"by BoundarySVC, and with the labels \[2.* there are the classes \[0, 1, 2"
    ):
        teach(learner)
    assert learner.class_counts_.get(2, 0) == 0
    assert learner.set_params(classes=None).teach([30], [1]).is_trained_


def test_a_third_class_of_new_rows_is_refused_before_the_strategy_is_prepared():
    class Growing(RandomSampling):
        def _grow(self, pool):
            pytest.fail("it was prepared")

    learner = ActiveLearner(BoundarySVC(), Growing()).fit(X, PAIRS)
    with pytest.raises(ValueError, match="Only binary"):
        learner.grow(np.r_[X, X[:1] + 1], [2])


def test_the_classes_of_a_binary_classifier_can_be_corrected():
    y = np.where(np.arange(150) < 1, 7, -1)
    learner = binary().fit(X, y).teach([1], [1])
    with pytest.raises(ValueError, match="Only binary"):
        learner.teach([2], [0])
    assert learner.teach([0], [0], overwrite=True).teach([2], [0]).class_counts_ == {0: 2, 1: 1}
    assert learner.undo().teach([2], [7], audit=True).class_counts_ == {0: 1, 1: 1}  # nobody learns it


@pytest.mark.parametrize(("y", "classes"), [(np.arange(150) % 3, None), (PAIRS, [0, 1, 2])])
def test_a_binary_classifier_is_not_begun_with_three_classes(y, classes):
    with pytest.raises(
        ValueError, match=r"Only binary classification is supported by BoundarySVC, and .*\[0, 1, 2\]"
    ):
        binary().set_params(classes=classes).fit(X, y)
    if classes is None:
        with pytest.raises(ValueError, match="Only binary classification"):
            SimulatedLearner(BoundarySVC(), RandomSampling()).fit(X, y)

import os
import pickle

import joblib
import numpy as np
import pytest
from numpy.testing import assert_array_equal
from sklearn.base import clone
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LogisticRegression

from skal import ActiveLearner
from skal.campaign.identity import check_identity, identity
from skal.pool import as_pool, blockwise
from skal.strategies import RandomSampling, UncertaintySampling

h5py = pytest.importorskip("h5py")
zarr = pytest.importorskip("zarr")
X = np.arange(200.0).reshape(50, 2, 2)


def in_h5py(folder, values=X, name="pool.h5"):
    with h5py.File(folder / name, "w") as file:
        file.create_dataset("rows", data=values, chunks=(8, 2, 2), compression="gzip")
    return h5py.File(folder / name, "r")["rows"]


def in_zarr(folder, values=X, name="pool.zarr"):
    return zarr.create_array(folder / name, data=values, chunks=(8, 2, 2))


@pytest.fixture(params=[in_h5py, in_zarr], ids=["h5py", "zarr"])
def stored(request, tmp_path):
    return lambda *args, **params: request.param(tmp_path, *args, **params)


def test_rows_are_read_in_any_order(stored):
    pool = as_pool(stored())
    assert (len(pool), pool.row_shape, pool.row_bytes) == (50, (2, 2), 32)
    for rows in ([3], [49, 0, 7, 7], [10, 9, 8], np.arange(50)[::-1], []):
        assert_array_equal(pool.take(np.array(rows, dtype=np.intp)), X[np.array(rows, dtype=int)])
    assert_array_equal(pool.take(slice(4, 9)), X[4:9])
    assert_array_equal(pool.dense(), X)
    assert_array_equal(
        np.concatenate([block for block, _ in pool.blocks([4, 2, 40], max_bytes=64)]), X[[4, 2, 40]]
    )
    assert_array_equal(pool.stack([X[:1]]), [*X, X[0]])


def test_it_is_known_by_its_place_and_not_scanned(stored, monkeypatch):
    pool = as_pool(stored())
    assert pool.same_as(as_pool(X))
    assert not pool.same_as(as_pool(X + 1))
    assert not pool.same_as(as_pool(stored(X + 1, name="other")))
    pool.watch(1 << 20)
    monkeypatch.setattr(type(pool), "take", lambda *_: pytest.fail("rows were read"))
    assert pool.known_flaw is None
    assert not pool.is_finite  # nobody knows
    assert pool.same_as(as_pool(pool.X))
    assert pool.is_unchanged()
    if hasattr(pool.X, "file"):
        assert pool.same_as(as_pool(h5py.File(pool.X.file.filename, "r")["rows"]))


def test_flaws_are_found_for_those_who_read(stored):
    pool = as_pool(stored(np.where(X == 7, np.nan, X)))
    assert pool.flaw == "NaN"
    assert pool.known_flaw == "NaN"


def test_pickles(stored, tmp_path):
    pool = as_pool(stored())
    pool.watch(1 << 20)
    data = pickle.dumps(pool)
    copy = pickle.loads(data)
    assert copy.same_as(pool)
    assert copy.is_unchanged()
    assert_array_equal(copy.take(slice(None)), X)
    if hasattr(pool.X, "file"):
        assert len(data) < 2000
        pool.X.file.close()
        os.rename(tmp_path / "pool.h5", tmp_path / "moved.h5")
        with pytest.raises(FileNotFoundError, match=r"pool\.h5"):
            pickle.loads(data)


def test_changes_are_noticed(tmp_path):
    pool = as_pool(in_h5py(tmp_path))
    pool.watch(1 << 20)
    os.utime(tmp_path / "pool.h5", ns=(0, 12345))
    assert pool.is_unchanged()  # written again with the same rows
    array = in_zarr(tmp_path)
    pool = as_pool(array)
    pool.watch(1 << 20)
    array[13] = -1
    assert not pool.is_unchanged()


def test_what_this_process_writes_is_noticed_before_it_reaches_the_file(tmp_path):
    in_h5py(tmp_path).file.close()
    with h5py.File(tmp_path / "pool.h5", "r+") as file:
        pool = as_pool(file["rows"])
        pool.watch(1 << 20)
        file["rows"][13] = -1
        assert not pool.is_unchanged()


def test_new_rows_are_cast_to_the_numbers_of_the_pool(stored):
    pool = as_pool(stored(X.astype(np.uint8)))
    assert pool.stack([pool.matching(as_pool(X[:1])).X]).dtype == np.uint8
    with pytest.raises(ValueError, match="do not fit the uint8 of the pool"):
        pool.matching(as_pool(X[:1] + 0.5))


def test_texts_are_no_numbers_and_are_watched(tmp_path):
    with h5py.File(tmp_path / "texts.h5", "w") as file:
        pool = as_pool(file.create_dataset("rows", data=["one", "two"], dtype=h5py.string_dtype()))
        assert pool.obstacle == "its cells are of dtype object"
        pool.watch(1 << 20)
        assert pool.is_unchanged()


def test_groups_are_refused(tmp_path):
    with (
        h5py.File(tmp_path / "pool.h5", "w") as file,
        pytest.raises(ValueError, match=r"h5py\.File.*X\['rows'\]"),
    ):
        as_pool(file)
    with pytest.raises(ValueError, match=r"zarr\.Group.*X\['rows'\]"):
        as_pool(zarr.open_group(tmp_path / "pool.zarr", mode="w"))


def test_another_file_of_the_same_name_is_another_pool(tmp_path):
    pool = as_pool(in_h5py(tmp_path))
    pool.watch(1 << 20)
    in_h5py(tmp_path, X + 1, name="new.h5").file.close()
    os.replace(tmp_path / "new.h5", tmp_path / "pool.h5")
    assert not pool.same_as(as_pool(h5py.File(tmp_path / "pool.h5", "r")["rows"]))
    assert pool.is_unchanged()  # it reads the old one


def test_arrays_in_memory_are_not_known_by_their_name():
    files = [h5py.File(name, "w", driver="core", backing_store=False) for name in ("one", "two")]
    for file, rows in zip(files, (X, X + 1), strict=True):
        file["rows"] = rows
    one, two = (as_pool(file["rows"]) for file in files)
    assert not one.same_as(two)
    assert one.same_as(as_pool(files[0]["rows"]))


def test_a_closed_file_is_named(tmp_path):
    pool = as_pool(in_h5py(tmp_path))
    pool.watch(1 << 20)
    pool.X.file.close()
    asked = [
        lambda: pool.take(slice(3)),
        pool.is_unchanged,
        lambda: pickle.dumps(pool),
        lambda: pool.same_as(as_pool(X)),
        lambda: as_pool(pool.X),
    ]
    for ask in asked:
        with pytest.raises(ValueError, match="h5py file of the pool was closed"):
            ask()


def test_what_is_in_no_chunks_or_in_huge_ones_is_read_some_at_a_time(tmp_path):
    with h5py.File(tmp_path / "images.h5", "w") as file:  # nothing is written
        pool = as_pool(file.create_dataset("rows", shape=(5000, 3, 224, 224), dtype="u1"))
        spans = list(pool.spans(pool.block_rows()))
        assert max(span.stop - span.start for span in spans) * pool.row_bytes <= 32 * 2**20
        assert spans[-1].stop == 5000
    columns = zarr.create_array(tmp_path / "columns.zarr", shape=(10**8, 50), chunks=(10**8, 1), dtype="f4")
    pool = as_pool(columns)
    spans = list(pool.spans(pool.block_rows()))
    assert max(span.stop - span.start for span in spans) * pool.row_bytes <= 256 * 2**20
    assert spans[-1].stop == 10**8


def test_workers_are_sent_rows_of_a_file_that_is_written(tmp_path, monkeypatch):
    monkeypatch.setattr("skal.pool.base._BLOCK_ROWS", 10)
    file = in_h5py(tmp_path).file.filename
    with h5py.File(file, "r+") as file, joblib.parallel_config("loky", n_jobs=2):
        assert_array_equal(blockwise(lambda block: block[:, 0, 0], file["rows"]), X[:, 0, 0])


def test_a_pool_that_others_append_to_grows(tmp_path):
    X = np.random.default_rng(0).normal(size=(60, 2))
    y = np.where(np.arange(50) < 6, np.arange(50) % 2, -1)
    rows = zarr.create_array(tmp_path / "pool.zarr", data=X[:50], chunks=(8, 2))
    learner = ActiveLearner(LogisticRegression(), UncertaintySampling(), n_queries=4, random_state=0)
    expected = learner.fit(rows, y).query()
    rows.resize((60, 2))
    rows[50:] = X[50:]
    assert_array_equal(learner.query(), expected)  # its pool is what it was
    learner.grow(rows)
    plain = ActiveLearner(LogisticRegression(), UncertaintySampling(), n_queries=4, random_state=0)
    assert_array_equal(learner.query(), plain.fit(X[:50], y).grow(X).query())


def test_a_digest_reads_each_chunk_once(stored, monkeypatch):
    monkeypatch.setattr("skal.pool.base._BLOCK_ROWS", 8)
    pool = as_pool(stored())
    read, take = [], pool.take
    monkeypatch.setattr(pool, "take", lambda rows: read.append(np.arange(50)[rows]) or take(rows))
    first = pool.digest(1 << 20)
    assert_array_equal([rows[0] // 8 for rows in read], np.arange(7))
    assert_array_equal(np.concatenate(read), np.arange(50))
    assert first == as_pool(stored(name="again.zarr")).digest(1 << 20)


def test_a_digest_of_a_large_pool_reads_some_rows_of_each_chunk(stored, monkeypatch):
    values = np.arange(2400.0).reshape(600, 2, 2)
    pool = as_pool(stored(values))
    read, take = [], pool.take
    monkeypatch.setattr(pool, "take", lambda rows: read.append(np.arange(600)[rows]) or take(rows))
    first = pool.digest(32 * 150)  # bytes of a quarter of the rows
    assert len({rows[0] // 8 for rows in read}) == len(read) == 64
    assert 100 < sum(map(len, read)) <= 150
    assert read[-1][-1] > 590
    assert first != as_pool(stored(values[::-1], name="turned")).digest(32 * 150)


def test_a_digest_of_large_rows_holds_one_at_a_time(stored, monkeypatch):
    values = np.arange(800.0).reshape(200, 2, 2)
    pool = as_pool(stored(values))
    read, take = [], pool.take
    monkeypatch.setattr(pool, "take", lambda rows: read.append(np.arange(200)[rows]) or take(rows))
    monkeypatch.setattr(np, "concatenate", None)
    first = pool.digest(32 * 10)  # bytes of ten rows
    assert [len(rows) for rows in read] == [1] * 10
    assert read[0][0] == 0
    assert read[-1][0] >= 192
    monkeypatch.undo()
    assert first != as_pool(stored(values[::-1], name="turned")).digest(32 * 10)
    values[read[5]] += 1
    assert first != as_pool(stored(values, name="changed")).digest(32 * 10)


def test_a_digest_of_texts_counts_their_letters(tmp_path):
    texts = np.array(["letter " * 100 + str(i) for i in range(1000)], dtype=object)
    with h5py.File(tmp_path / "texts.h5", "w") as file:
        pool = as_pool(file.create_dataset("rows", data=texts, dtype=h5py.string_dtype(), chunks=(10,)))
        first, small = pool.digest(1 << 20), pool.digest(1 << 16)
        file["rows"][995] = "another"
        assert pool.digest(1 << 20) != first
        assert pool.digest(1 << 16) == small


MANY = np.arange(800.0).reshape(200, 2, 2)
# What earlier versions knew them by.
OLDER = (
    "('stored', 200, (2, 2), 'float64', 1024254378, 1874673335, 1204256358, 342812239, 3748598704, 453205124, "
    "2361822105, 1219151021, 3230842226, 2728696552, 83817030, 1724437980, 2470126939, 4044161729, 1465346671, "
    "895569397, 1683029585, 1431039388, 107403723, 930990598, 2688332133, 2435293864, 3255473919, 4078011698, "
    "939091576)"
)


def test_it_is_known_by_what_older_files_kept(stored):
    assert as_pool(stored(MANY)).has_digest(OLDER, 1 << 26)
    assert not as_pool(stored(MANY[::-1], name="turned")).has_digest(OLDER, 1 << 26)


def test_any_rows_that_change_places_are_noticed(stored, tmp_path):
    moved, y = MANY.copy(), np.where(np.arange(200) < 12, np.arange(200) % 2, -1)
    moved[1:3] = MANY[2:0:-1]
    plan = ActiveLearner(DummyClassifier(), RandomSampling(), random_state=0)
    clone(plan).fit(stored(MANY), y).save(tmp_path / "saved")
    with pytest.raises(ValueError, match="rows have changed or are in another order"):
        ActiveLearner.load(tmp_path / "saved", stored(moved, name="moved"), plan)
    then = identity(stored(MANY, name="again"))
    check_identity({**then, "rows": OLDER}, stored(MANY, name="older"), None)
    with pytest.raises(ValueError, match="is not the pool of the campaign"):
        check_identity(then, stored(moved, name="moved again"), None)


def test_a_store_that_is_written_is_noticed_by_all(tmp_path):
    rows = in_zarr(tmp_path, MANY)
    learner = ActiveLearner(DummyClassifier(), RandomSampling())
    learner.fit(rows, np.where(np.arange(200) < 12, np.arange(200) % 2, -1))
    rows[1:3] = MANY[2:0:-1]
    for ask in (learner.query, lambda: learner.teach([51], [1])):
        with pytest.raises(ValueError, match="changed in place"):
            ask()


def test_a_store_that_lost_rows_is_named(tmp_path):
    rows = in_zarr(tmp_path, MANY)
    learner = ActiveLearner(DummyClassifier(), RandomSampling())
    learner.fit(rows, np.where(np.arange(200) < 12, np.arange(200) % 2, -1))
    rows.resize((150, 2, 2))
    for ask in (learner.query, lambda: learner.teach([51], [1]), learner.refit):
        with pytest.raises(
            ValueError, match="zarr array of the pool has 150 rows, and had 200 when it was given"
        ):
            ask()

"""A pool is the same one in the process that trains, in whatever container."""

import sys

import cloudpickle
import numpy as np
import pytest
from scipy import sparse

from skal.campaign.identity import check_identity, identity
from skal.pool import as_pool
from tests.pool.kinds import COUNTS, containers
from tests.processes import run_fresh

UNPICKLED = {"h5py"}  # no campaign can send them, and says so


class Row:
    """An object of a script, which a pickle holds whole."""

    def __init__(self, counts):
        self.counts = counts


def pools(folder):
    np.save(folder / "rows.npy", COUNTS)
    kinds = {name: kind for name, (kind, _) in containers(folder).items()}
    return kinds | {
        "memory map": np.load(folder / "rows.npy", mmap_mode="r"),
        "columns": np.asfortranarray(COUNTS),
        "view": COUNTS[::2, 1:3],
        "entries twice": sparse.csr_array((np.ones(6), [1, 1, 0, 2, 0, 0], [0, 3, 6]), shape=(2, 3)),
        "entries": sparse.coo_array(COUNTS),
        "list of views": [COUNTS[:, i] for i in range(5)],
        "objects": [Row(row) for row in COUNTS.T],
    }


def test_a_pool_is_the_same_where_it_is_sent(tmp_path, monkeypatch):
    monkeypatch.setattr(Row, "__module__", "__main__")
    monkeypatch.setattr(sys.modules["__main__"], "Row", Row, raising=False)
    sent = {name: pool for name, pool in pools(tmp_path).items() if name not in UNPICKLED}
    given = cloudpickle.dumps(sent)
    expected = {name: identity(pool) for name, pool in sent.items()}
    run_fresh(
        "import pickle\n"
        "from skal.campaign.identity import identity\n"
        "found = {name: identity(pool) for name, pool in pickle.loads(given).items()}\n"
        "assert found == expected, [name for name in found if found[name] != expected[name]]\n",
        given=given,
        expected=expected,
    )


def test_a_sparse_pool_is_known_by_what_older_campaigns_kept():
    X = sparse.csr_array(COUNTS)
    then = identity(X) | {"rows": repr(as_pool(X)._look(1 << 26))}
    check_identity(then, X, None)
    with pytest.raises(ValueError, match="is not the pool of the campaign"):
        check_identity(then, sparse.csr_array(COUNTS[::-1]), None)


def test_columns_of_another_type_are_named():
    pd = pytest.importorskip("pandas")
    table = pd.DataFrame({"a": [0.5, 1.5, 2.5], "c": pd.Categorical(["x", "y", "x"])})
    known = identity(table)
    check_identity(known, table.copy(), None)
    for changed, message in (
        (table.astype({"c": str}), "column 'c' was category"),
        (table.rename(columns={"a": "b"}), "columns lack 'a' and have the new 'b'"),
    ):
        with pytest.raises(ValueError, match=f"X is not the pool of the campaign: .*{message}"):
            check_identity(known, changed, None)
    del known["columns"]  # of older campaigns
    check_identity(known, table, None)

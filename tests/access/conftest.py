import pytest


@pytest.fixture
def small_blocks(monkeypatch):
    """Blocks of 11 rows, so that a pool has several."""
    monkeypatch.setattr("skal.pool.base._BLOCK_ROWS", 11)

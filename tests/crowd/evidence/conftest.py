"""A folder for results, and a store with its evidence."""

import pytest


@pytest.fixture
def place(tmp_path):
    """A folder for results, an engine on a store, and where its evidence lies."""
    pytest.importorskip("sqlalchemy")
    from ie_crowd.evidence import files
    from ie_crowd.store import database

    engine = database.connect(tmp_path / "store.sqlite3")
    home = tmp_path / "results"
    home.mkdir()
    yield home, engine, files.of(engine)
    engine.dispose()

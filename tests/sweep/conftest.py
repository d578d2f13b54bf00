"""What a sweep with faults is compared with."""

import os

import pytest


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory):
    """The weights of the same trainings on this machine alone."""
    from ie_recipes.sweep import engine

    from benchmarks.sweep_faults import real_works, weights

    folder = tmp_path_factory.mktemp("undisturbed")
    local = engine.Local(folder, "cpu", {}, 2, "again", dict(os.environ))
    local.do(real_works(2), lambda *_: None, lambda: None)
    return weights(folder, real_works(2))

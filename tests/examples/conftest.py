"""What tests of examples share: each runs quickly once."""

from functools import cache

import pytest

from .test_examples import run


@pytest.fixture(scope="session")
def quick(tmp_path_factory):
    """Gives, for an example's name, its last line after --quick, and the folder with what it
    wrote."""

    @cache
    def ran(name):
        folder = tmp_path_factory.mktemp(name)
        return run(name, folder, "--quick"), folder

    return ran

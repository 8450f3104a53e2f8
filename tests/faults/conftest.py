"""The result of a sweep that nothing disturbed."""

import pytest

from faults import harness


@pytest.fixture(scope="session")
def long(request):
    return request.config.getoption("--long", default=False)


@pytest.fixture(autouse=True)
def nothing_left_running():
    yield
    harness.end_all()


@pytest.fixture(scope="session")
def undisturbed(tmp_path_factory, long):
    """The frozen files, by name, of a sweep over `harness.grid` that nothing disturbed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    harness.run(harness.work, folder, harness.grid(long))
    return harness.decided_files(folder)

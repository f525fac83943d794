import pytest

from onward.testing.contracts import SweepsContract


@pytest.mark.parametrize("backend", ["memory", "sqlite", "firestore"], indirect=True)
class TestSweeps(SweepsContract):
    pass

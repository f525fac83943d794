import pytest

from onward.testing.contracts import IncarnationsContract


@pytest.mark.parametrize("backend", ["memory", "sqlite", "firestore"], indirect=True)
class TestIncarnations(IncarnationsContract):
    pass

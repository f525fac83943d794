import pytest

from onward.testing.contracts import SessionStoreContract


@pytest.mark.parametrize("backend", ["memory", "sqlite", "firestore"], indirect=True)
class TestStore(SessionStoreContract):
    pass

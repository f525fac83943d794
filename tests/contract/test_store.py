from onward.testing.contracts import SessionStoreContract


class TestStore(SessionStoreContract):
    pass

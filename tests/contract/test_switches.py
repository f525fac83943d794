import pytest

from onward.testing.contracts import SwitchesContract


@pytest.mark.parametrize("backend", ["memory", "sqlite", "firestore"], indirect=True)
class TestSwitches(SwitchesContract):
    pass

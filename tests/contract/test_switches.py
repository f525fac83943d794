from onward.testing.contracts import SwitchesContract


class TestSwitches(SwitchesContract):
    pass

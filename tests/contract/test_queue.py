from onward.testing.contracts import TimersContract, WakesContract


class TestWakes(WakesContract):
    pass


class TestTimers(TimersContract):
    pass

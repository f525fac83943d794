from onward.testing.contracts import ErrandsContract, TimersContract, WakesContract


class TestWakes(WakesContract):
    pass


class TestTimers(TimersContract):
    pass


class TestErrands(ErrandsContract):
    pass

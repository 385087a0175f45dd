"""Quick forms of simulate_verdicts.py: in no world is the wrong verdict frequent."""

import pytest
from simulate_verdicts import all_worlds, drawn

RUNS = 20


@pytest.mark.parametrize("world", all_worlds(), ids=lambda world: f"{world.finding}: {world.about}")
def test_the_wrong_verdict_is_rare(world):
    """At a true rate of 2.5 % more than 3 of 20 are wrong once in 700 times; the seeds are fixed."""
    assert drawn(world, RUNS)[world.error] <= 3

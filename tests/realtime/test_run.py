"""How a process is run: what it does to Python's own settings."""

import json

from realtime.run import COLLECTIONS
from tests.support.processes import run_python

SCRIPT = """
import gc, json
from realtime.run import spare_the_collector
kept = [[] for _ in range(1000)]
spare_the_collector()
cycle = []
cycle.append(cycle)
del cycle
print(json.dumps([gc.get_threshold(), gc.get_freeze_count() > 1000, gc.collect()]))
"""


def test_the_collector_looks_rarely_and_not_at_what_was_there() -> None:
    with run_python(SCRIPT) as process:
        said, _ = process.communicate(timeout=30)
    assert json.loads(said) == [list(COLLECTIONS), True, 1]

"""How hard the properties are tried: a little and always the same in every run, or as hard as somebody asks for."""

import os

from hypothesis import HealthCheck, Phase, settings

# 1 is what `make test` does. More tries so many times the examples, other ones each time.
EFFORT = int(os.environ.get("PROPERTY_EFFORT", "1"))


def tried(examples: int, steps: int = 20) -> settings:
    """Give the settings of a property that talks to real servers."""
    return settings(
        max_examples=examples * EFFORT,
        stateful_step_count=steps,
        deadline=None,
        derandomize=EFFORT == 1,
        # Each example takes a session of its own, so that what was left by another does not matter.
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow, HealthCheck.data_too_large],
        phases=[Phase.explicit, Phase.generate, Phase.shrink],
        database=None,
    )

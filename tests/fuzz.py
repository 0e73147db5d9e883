"""How many cases the fuzzing tests try: the same few each time. MASKLINE_FUZZ=10 tries ten times as many."""

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings


def cases(count: int) -> Callable[[Any], Any]:
    """Marks a test of random cases, which `make fuzz` runs too, and says how many of them it tries."""
    factor = int(os.environ.get("MASKLINE_FUZZ", "0"))
    tried = settings(
        max_examples=count * (factor or 1),
        derandomize=not factor,
        deadline=None,
        # Each case overwrites the one file, and some are large on purpose.
        suppress_health_check=[
            HealthCheck.function_scoped_fixture,
            HealthCheck.too_slow,
            HealthCheck.data_too_large,
            HealthCheck.large_base_example,
        ],
    )
    return lambda test: pytest.mark.fuzz(tried(test))

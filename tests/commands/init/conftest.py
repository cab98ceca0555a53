"""What Replicate has to say in every shape."""

from collections.abc import Iterator

import pytest

from audit.demo.fake_replicate.server import in_thread
from tests.support.instrumented_replicate import InstrumentedReplicate
from tests.support.shapes.story import WORLD


@pytest.fixture(scope="module")
def replicate() -> Iterator[InstrumentedReplicate]:
    """The account of the shapes, its models and trainings."""
    with in_thread(InstrumentedReplicate(WORLD)) as fake:
        yield fake

import pytest
from recording.wire import Lab


@pytest.fixture
def lab():
    with Lab() as made:
        yield made

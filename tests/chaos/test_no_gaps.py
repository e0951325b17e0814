"""No gaps, at the size of CI."""

import pytest

from tests.chaos.no_gaps import no_gaps

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(180)]


def test_readers_of_the_log_miss_nothing_whoever_stops_while_writing(database: str) -> None:
    no_gaps(database, writers=16, changes=10, seed=1)

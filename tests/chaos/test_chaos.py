"""Kill anything, at the size of CI; `./dev prove chaos` runs a hundred seeds."""

import pytest

from tests.chaos.scenario import kill_anything
from tests.system.conftest import a_service

pytestmark = [pytest.mark.slow, pytest.mark.kafka, pytest.mark.timeout(400)]


@pytest.mark.parametrize("seed", [1])
def test_whatever_is_killed_nothing_is_lost(seed: int) -> None:
    with a_service("noop", replicas=2, with_kafka=True) as service:
        print(kill_anything(service, seed=seed, seconds=20, clients=4))
        service.stop()

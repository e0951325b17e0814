"""What dies comes back."""

import pytest

from tests.system.scenarios.failover import killed_amphora, killed_backend, killed_haproxy
from tests.system.service import Service

pytestmark = [pytest.mark.amphora, pytest.mark.postgres, pytest.mark.slow]


def test_a_killed_backend_is_shown_within_5_seconds_and_so_is_its_return(service: Service) -> None:
    print(killed_backend(service))


def test_a_killed_haproxy_serves_again_within_3_seconds(service: Service) -> None:
    print(killed_haproxy(service))


def test_a_killed_amphora_is_replaced_within_15_seconds_and_leaves_nothing(service: Service) -> None:
    print(killed_amphora(service))

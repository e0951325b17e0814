"""What operators ask for costs no more traffic than it has to."""

import pytest

from tests.system.scenarios.requested_failover import agent_configured, amphora_failed_over, load_balancer_failed_over
from tests.system.service import Service

pytestmark = [pytest.mark.amphora, pytest.mark.postgres, pytest.mark.slow]


def test_a_load_balancer_that_is_failed_over_serves_again_within_15_seconds(service: Service) -> None:
    print(load_balancer_failed_over(service))


def test_an_amphora_that_is_failed_over_is_replaced_within_15_seconds(service: Service) -> None:
    print(amphora_failed_over(service))


def test_an_agent_takes_its_settings_and_goes_on(service: Service) -> None:
    print(agent_configured(service))

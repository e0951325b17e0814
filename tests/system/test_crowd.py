"""Many changes to one load balancer at once."""

import pytest

from tests.system.scenarios.crowd import concurrent_changes, restless_client
from tests.system.scenarios.refused import one_refused
from tests.system.service import Service

pytestmark = [pytest.mark.amphora, pytest.mark.postgres, pytest.mark.slow]


def test_changes_of_fifty_clients_at_once_are_all_accepted_and_all_live(service: Service) -> None:
    print(concurrent_changes(service, clients=50, changes=500))


def test_a_load_balancer_that_is_changed_twice_a_second_shows_active_again_and_again(service: Service) -> None:
    print(restless_client(service, seconds=15))


def test_what_haproxy_refuses_takes_no_other_change_with_it(service: Service) -> None:
    print(one_refused(service, changes=20))

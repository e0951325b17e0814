"""Real requests through a VIP."""

import pytest

from tests.system.scenarios.traffic import even_shares, nothing_lost
from tests.system.service import Service

pytestmark = [pytest.mark.amphora, pytest.mark.postgres, pytest.mark.slow]


def test_a_thousand_requests_are_shared_out_evenly(service: Service) -> None:
    print(even_shares(service, requests=1_000))


def test_nothing_is_lost_while_members_change_and_come_and_go(service: Service) -> None:
    print(nothing_lost(service, seconds=10, seed=1))

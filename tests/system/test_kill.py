"""kill -9 of the whole control plane."""

import pytest

from tests.system.scenarios.kill import kill_control_plane
from tests.system.service import Service

pytestmark = [pytest.mark.amphora, pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(300)]


def test_what_was_accepted_is_carried_out_after_the_control_plane_was_killed(own_service: Service) -> None:
    print(kill_control_plane(own_service, moments=2, load_balancers=5, members=10, seed=20))

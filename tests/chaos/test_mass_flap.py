"""An incident at the size of CI: `./dev prove flap` has a thousand load balancers ten times."""

from pathlib import Path

import pytest

from tests.chaos.mass_flap import mass_flap
from tests.system.conftest import a_state_directory

pytestmark = [pytest.mark.postgres, pytest.mark.slow, pytest.mark.timeout(240)]


def test_members_that_all_go_down_at_once_are_an_incident_and_no_flood(database: str) -> None:
    with a_state_directory() as directory:
        mass_flap(database, Path(directory), load_balancers=100, times=1)

"""Two of every service at the size of CI; `./dev prove replicas` does it more often."""

from collections.abc import Iterator

import pytest

from tests.system.conftest import a_service
from tests.system.scenarios.replicas import (
    duties_are_taken_over,
    health_is_watched_whoever_leads,
    work_of_the_dead_is_taken_over,
)
from tests.system.scenarios.silent import silent_amphorae
from tests.system.service import Service

pytestmark = [pytest.mark.amphora, pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def stack() -> Iterator[Service]:
    with a_service(replicas=2) as service:
        yield service
        service.stop()


def test_a_duty_that_one_has_for_all_is_taken_over(stack: Service) -> None:
    duties_are_taken_over(stack, duties=("health manager", "housekeeping"), times=1)


def test_health_is_watched_whichever_health_manager_dies(stack: Service) -> None:
    health_is_watched_whoever_leads(stack)


def test_what_a_dead_worker_held_is_taken_over(stack: Service) -> None:
    work_of_the_dead_is_taken_over(stack)


def test_silent_amphorae_do_not_keep_others_waiting() -> None:
    with a_service() as service:
        silent_amphorae(service, amphorae=8)

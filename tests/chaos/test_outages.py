"""What the service stands on goes away for seconds; `./dev prove outages` has the minutes."""

import os
from collections.abc import Iterator

import pytest

from tests.chaos.cut_off import health_manager_cut_off, housekeeper_cut_off
from tests.chaos.outages import broker_away, database_away, disk_full, slow_commits
from tests.system.conftest import a_service, a_state_directory
from tests.system.service import Service
from tests.system.small_disk import small_disk

pytestmark = [pytest.mark.postgres, pytest.mark.amphora, pytest.mark.slow, pytest.mark.timeout(240)]


@pytest.fixture(scope="module")
def stack() -> Iterator[Service]:
    with a_service(replicas=2) as service:
        yield service
        service.assert_nothing_is_left()
        service.stop()


def test_a_database_that_is_gone_costs_nothing_but_time(stack: Service) -> None:
    print(database_away(stack, seconds=8, hangs=False))


def test_a_database_that_hangs_costs_nothing_but_time(stack: Service) -> None:
    """Longer than anybody waits for an answer."""
    print(database_away(stack, seconds=16, hangs=True))


def test_a_health_manager_that_is_cut_off_does_nothing_more(stack: Service) -> None:
    print(health_manager_cut_off(stack))


def test_a_housekeeper_that_is_cut_off_does_nothing_more(stack: Service) -> None:
    print(housekeeper_cut_off(stack))


def test_slow_commits_lose_double_and_replace_nothing(stack: Service) -> None:
    print(slow_commits(stack, seconds=15))


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may mount")
def test_a_full_disk_under_the_database_stops_changes_only() -> None:
    with a_state_directory() as directory, small_disk(directory / "state/postgresql", "400m") as disk:
        service = Service(directory / "state", replicas=2)
        try:
            service.start()
            print(disk_full(service, disk, seconds=5))
            service.stop()
        finally:
            service.clean_up()


@pytest.mark.kafka
def test_a_broker_that_is_away_delays_subscribers_only() -> None:
    with a_service(replicas=2, with_kafka=True) as service:
        print(broker_away(service, seconds=8))
        service.assert_nothing_is_left()
        service.stop()

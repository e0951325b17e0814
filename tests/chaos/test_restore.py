"""A backup comes back under running roles; `./dev prove restore` loses 100 events and more."""

import pytest

from tests.chaos.restore import restored
from tests.system.conftest import a_service

pytestmark = [pytest.mark.postgres, pytest.mark.amphora, pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(300)]


def test_all_agrees_with_a_log_that_went_back_in_time() -> None:
    with a_service(replicas=2, with_kafka=True) as service:
        print(restored(service, events=40))
        service.stop()

"""Deleting everything leaves nothing but the history."""

from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest

from infra.timeline import timeline
from tests.system.backends import backends
from tests.system.service import Service
from tests.system.site import a_site
from tests.system.traffic import serves

pytestmark = [pytest.mark.amphora, pytest.mark.postgres, pytest.mark.slow]


def test_deleting_everything_at_once_leaves_no_process_port_file_or_action(service: Service) -> None:
    with backends("127.0.1.1") as members:
        sites = [a_site(service.api, members) for _ in range(4)]
        for site in sites:
            site.monitor()

        with ThreadPoolExecutor(len(sites)) as pool:
            list(pool.map(lambda site: service.api.delete_load_balancer(site.id), sites))

        assert not any(serves(site.vip, site.port) for site in sites)
    service.assert_nothing_is_left()


def test_the_history_of_what_was_deleted_is_told_from_the_first_event_to_the_last(service: Service) -> None:
    with backends("127.0.1.1") as members:
        site = a_site(service.api, members)
        site.change_member(site.members[0], weight=7)
        site.wait()
        service.api.delete_load_balancer(site.id)

    with service.database() as connection:
        moments = timeline(connection, UUID(site.id))

    told = [moment.what for moment in moments]
    assert told[0].startswith("asked for")
    assert told[-1] == "deleted; nothing is left of it outside"
    assert any(words.endswith("changed, weight 7") for words in told)
    assert {moment.stream for moment in moments} >= {"load balancer", "amphora"}
    assert {moment.who for moment in moments} == {"somebody", "Tacitus"}
    assert [moment.at for moment in moments] == sorted(moment.at for moment in moments)

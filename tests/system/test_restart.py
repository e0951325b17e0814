"""The service stops and starts as a whole, and gives its directory to one at a time."""

import pytest

from tests.system.backends import backends
from tests.system.scenarios.restart import restart
from tests.system.service import Service
from tests.system.site import a_site
from tests.system.traffic import serves

pytestmark = [pytest.mark.amphora, pytest.mark.postgres, pytest.mark.slow]


def test_after_a_restart_the_same_amphorae_serve_within_10_seconds(own_service: Service) -> None:
    said = restart(own_service, load_balancers=3, times=1)

    print(said)
    own_service.assert_nothing_is_left()


def test_a_second_run_on_the_same_directory_says_so_and_exits(service: Service) -> None:
    second = service.run("--port", "0")
    said, _ = second.communicate(timeout=30)

    assert second.returncode == 4
    assert "is in use by another `tacitus run`" in said
    assert service.api.get("/loadbalancers") == []


def test_ctrl_c_leaves_no_process_and_no_socket_but_what_the_next_run_needs(own_service: Service) -> None:
    with backends("127.0.1.1") as members:
        site = a_site(own_service.api, members)
        amphora = own_service.amphora_of(site.id)

        own_service.stop()

    assert own_service.processes() == []
    assert own_service.sockets() == []
    assert not serves(site.vip, site.port)
    assert own_service.amphora_directories() == {amphora}

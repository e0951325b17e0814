"""What somebody types first: the commands that the README names, and those that a start prints."""

import json
import re
import shlex
import subprocess
from itertools import takewhile
from pathlib import Path

import pytest

from tests.clients.openstack_command import OpenStack
from tests.noop.conftest import Noop
from tests.system.conftest import a_service

pytestmark = [pytest.mark.postgres, pytest.mark.slow]

ROOT = Path(__file__).parents[2]


def test_the_commands_that_a_start_prints_do_as_they_are_printed() -> None:
    """Each in a process of its own, in the directory where the service was started."""
    with a_service("noop") as service:
        assert service.process
        assert service.process.stdout
        printed = takewhile(lambda line: not line.startswith("Ctrl-C"), service.process.stdout)
        commands = [shlex.split(line) for line in printed if " loadbalancer " in line]

        create, list_, status = (subprocess.check_output(command, cwd=ROOT, text=True) for command in commands)
        service.stop()

    assert re.search(r"provisioning_status +\| ACTIVE ", create)
    assert "| annals |" in list_
    assert json.loads(status)["loadbalancer"]["name"] == "annals"


def test_the_tour_of_the_readme_works(openstack: OpenStack, noop: Noop) -> None:
    backends_on_loopback = {"group": "networking", "options": {"reserved_cidrs": []}}  # as the local profile has it
    noop.control("config", backends_on_loopback)
    tour = re.findall(r"^    lb (.+)$", (ROOT / "README.md").read_text(), re.MULTILINE)

    for command in tour:
        openstack(*shlex.split(command))

    assert len(tour) >= 5
    status = json.loads(openstack("status", "show", "annals"))["loadbalancer"]
    ((listener,), (pool,)) = (status["listeners"], status["listeners"][0]["pools"])
    assert (listener["name"], pool["name"], len(pool["members"])) == ("http", "books", 1)
    assert noop.status_of(f"/loadbalancers/{status['id']}") == ("ACTIVE", "ONLINE")

"""What somebody changes or leaves behind our back is found and mended, and operators see that all is well then."""

import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from infra.local_compute import LocalCompute
from processes.ports import BootOrder
from tests.system.api import until
from tests.system.backends import backends
from tests.system.service import Service
from tests.system.site import Site, a_site

pytestmark = [pytest.mark.amphora, pytest.mark.postgres, pytest.mark.slow]

SWEEP_SECONDS = 25


def tacitus(service: Service, *arguments: str) -> subprocess.CompletedProcess[str]:
    settings = service.directory / "tacitus.conf"
    command = [sys.executable, "-m", "infra.cli", *arguments, "--config-file", str(settings)]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)


def file_of(service: Service, site: Site) -> Path:
    (file,) = service.directory.glob(f"amphorae/*/octavia/{site.id}/haproxy.cfg")
    return file


def test_configuration_that_was_changed_by_hand_is_named_and_pushed_again(service: Service) -> None:
    with backends("127.0.1.1") as members:
        site = a_site(service.api, members)
        file = file_of(service, site)
        file.write_text(file.read_text() + "# by hand\n")

        complaints = tacitus(service, "doctor", site.id).stdout
        until(lambda: "# by hand" not in file.read_text(), SWEEP_SECONDS, "the file to be pushed again")

        assert "holds another configuration than it confirmed" in complaints
        assert f"tacitus repair {site.id} --why TEXT" in complaints
        site.wait()
        site.wait_until_it_serves()
        assert "holds another configuration" in tacitus(service, "history", site.id).stdout


def test_amphora_that_nothing_wants_is_taken_down(service: Service) -> None:
    orphan = uuid4()
    compute = LocalCompute(service.directory / "amphorae", command=("sleep", "1000"))
    compute.boot(BootOrder(amphora_id=orphan, load_balancer_id=uuid4(), files={}))

    until(lambda: orphan not in compute.inventory(), SWEEP_SECONDS, "the orphan to be taken down")


def test_orphans_are_listed_and_removed_on_request(service: Service) -> None:
    orphan = uuid4()
    compute = LocalCompute(service.directory / "amphorae", command=("sleep", "1000"))
    compute.boot(BootOrder(amphora_id=orphan, load_balancer_id=uuid4(), files={}))

    listed = tacitus(service, "orphans").stdout
    tacitus(service, "orphans", "--remove")

    assert listed in (f"{orphan}\n", "")  # a sweep may have been faster
    assert orphan not in compute.inventory()


def test_repair_keeps_what_serves_and_leaves_a_log_without_fault(service: Service) -> None:
    with backends("127.0.1.1") as members:
        site = a_site(service.api, members)

        asked = tacitus(service, "repair", site.id, "--why", "the host was rebooted")
        site.wait()
        site.wait_until_it_serves()

        assert asked.returncode == 0, asked.stderr
        assert "repair asked for: the host was rebooted" in tacitus(service, "history", site.id).stdout
        assert tacitus(service, "doctor").stdout == "nothing is wrong\n"
        verified = tacitus(service, "verify", "--rows", "all")
        assert verified.returncode == 0, verified.stdout
        assert verified.stdout.endswith(": no findings\n")

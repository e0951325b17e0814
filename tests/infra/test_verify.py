"""Each rule of `tacitus verify` finds the log that breaks it, and nothing is found in one that breaks none."""

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from uuid import uuid4

import pytest

from domain.amphora import Amphora
from domain.control import Control
from domain.load_balancer_events import LoadBalancerSettings
from infra.cli import main
from infra.transcoding import NewerFormat
from tests.domain.history import History
from tests.given import a_load_balancer, a_vip
from tests.infra.annals import Annals, annals_in, built
from tests.infra.planted_faults import (
    FAULTS,
    Plant,
    build_that_waited,
    change_that_waited,
    change_that_waits,
    consumer_ahead,
    deletion_that_waited,
    revision_of,
    two_owners,
)

pytestmark = pytest.mark.postgres


@pytest.fixture
def annals(database: str) -> Iterator[Annals]:
    with annals_in(database) as made:
        yield made


# What is well


def test_nothing_is_found_in_a_log_without_fault(annals: Annals) -> None:
    assert annals.findings() == []


@pytest.mark.parametrize("seed", range(600, 606))
def test_nothing_is_found_in_random_histories(annals: Annals, seed: int) -> None:
    """Every other one has no amphorae."""
    vip = a_vip(is_exclusive=bool(seed % 3))
    history = History(Random(seed), load_balancer=a_load_balancer(amphora_ids=() if seed % 2 else (uuid4(),), vip=vip))
    history.run(steps=80)

    for event in list(history.load_balancer.pending_events):
        annals.record(event, with_rows=True)

    assert annals.findings() == []


def test_position_that_an_append_left_out_is_no_finding(annals: Annals) -> None:
    annals.connection.execute("SELECT nextval('tacitus_events_notification_id_seq')")
    annals.serving.change(LoadBalancerSettings(name="later"))
    annals.save(annals.serving)

    assert annals.findings() == []


def test_empty_log_is_without_fault(database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["verify", "--config-file", str(a_file(database, tmp_path))])

    assert capsys.readouterr().out == "0 events in 0 commits, 0 load balancers: no findings\n"


# Each rule, broken


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_found(annals: Annals, fault: str) -> None:
    plant, words = FAULTS[fault]

    plant(annals)

    found = annals.findings()
    assert any(re.search(words, finding) for finding in found), found


# Exceptions


def test_address_of_a_network_where_nobody_owns_any_may_be_given_twice(annals: Annals) -> None:
    annals.save(a_load_balancer(vip=annals.remote.vip, amphora_ids=()))

    assert annals.findings() == []


def test_address_is_free_once_its_owner_is_gone(annals: Annals) -> None:
    annals.save(a_load_balancer(vip=annals.gone.vip))

    assert annals.findings() == []


@pytest.mark.parametrize("plant", [change_that_waited, deletion_that_waited, build_that_waited])
def test_what_processes_missed_while_they_were_down_is_allowed_within_the_grace(annals: Annals, plant: Plant) -> None:
    plant(annals)

    assert annals.findings(grace=3_600.0 * 2) == []
    assert annals.findings() != []


def test_nothing_is_late_while_the_noop_profile_holds(annals: Annals) -> None:
    control = Control.set_up()
    control.set_hold(hold=True)
    annals.save(control)
    change_that_waits(annals)
    assert annals.findings() == []

    control.set_hold(hold=False)
    annals.serving.configuration_is_applied(annals.amphora.id, annals.serving.revision, "sha")
    annals.save(control, annals.serving)

    assert annals.findings() == []


def test_change_waits_for_the_amphora_that_is_being_built(annals: Annals) -> None:
    """Longer than for one that is there."""
    it = a_load_balancer(vip=a_vip(address="127.20.0.50"))
    amphora = Amphora.request(it.amphora_ids[0], load_balancer_id=it.id)
    annals.save(it, amphora)
    annals.age(400 / 3600)
    it.configuration_is_applied(amphora.id, it.revision, "sha")

    annals.save(it, built(amphora))

    assert annals.findings() == []


def test_only_what_came_after_a_position_is_told(annals: Annals) -> None:
    two_owners(annals)
    seen = annals.end
    assert annals.findings()

    annals.record(annals.confirmation(revision_of(annals), amphora_id=uuid4()))
    late = [finding for finding in annals.findings(since=seen) if finding.startswith("position")]

    assert len(late) == 1
    assert "whose amphora it is not" in late[0]


# The command


def a_file(database: str, directory: Path) -> Path:
    file = directory / "tacitus.conf"
    file.write_text(f"[DEFAULT]\nstate_directory = {directory}\n[database]\nconnection = {database}\n")
    return file


def test_command_says_what_it_found_and_fails(
    annals: Annals, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    consumer_ahead(annals)

    with pytest.raises(SystemExit) as end:
        main(["verify", "--config-file", str(a_file(annals.database, tmp_path)), "--rows", "all"])

    assert end.value.code == 1
    finding, summary = capsys.readouterr().out.splitlines()
    assert finding == "now: consumer somebody is at position 5000, beyond the end of the log"
    assert re.fullmatch(r"\d+ events in \d+ commits, 3 load balancers: 1 finding", summary)


def test_log_of_a_newer_release_is_not_judged(annals: Annals) -> None:
    annals.sql("""UPDATE tacitus_events SET state = '{"class_version": 99}' WHERE notification_id = %s""", annals.end)

    with pytest.raises(NewerFormat):
        annals.findings()


def test_streams_that_have_ended_are_forgotten(database: str, annals: Annals) -> None:
    """What is remembered does not grow with the log."""
    from infra.verify import Verification

    verification = Verification(annals.settings, lambda finding: None)
    verification.run()

    assert annals.gone.id not in verification._load_balancers.live
    assert annals.gone_amphora.id not in verification._amphorae.live
    assert not {annals.gone.vip.address} & {address for _, address in verification._load_balancers.owners}

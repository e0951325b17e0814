"""kill -9 of the whole control plane in the middle of things: what was accepted is carried out, once."""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial

from tests.system.api import LOST, Refused, until
from tests.system.backends import backends
from tests.system.scenarios.crowd import weights_of
from tests.system.service import Service
from tests.system.site import Site, a_site
from tests.system.traffic import under_traffic

SECONDS_PER_CHANGE = 0.05
"""So long everything takes at most, hence the moments: some before, some after the last answer."""


@dataclass
class Clients:
    """What clients asked for, and of what they know that it was accepted.

    created      names of load balancers whose 2xx was received
    asked        names of all that were asked for
    weights      member id -> weights that it may end with: the last accepted one, and later ones whose answer was lost
    """

    site: Site
    created: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    weights: dict[str, set[int]] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def create(self, name: str) -> None:
        with self.lock:
            self.asked.add(name)
        if _accepted(lambda: self.site.api.create_load_balancer(name=name)):
            with self.lock:
                self.created.add(name)

    def change(self, member_id: str, weight: int) -> None:
        accepted = _accepted(lambda: self.site.change_member(member_id, weight=weight))
        with self.lock:
            self.weights[member_id] = {weight} if accepted else self.weights[member_id] | {weight}


def _accepted(request: Callable[[], object]) -> bool:
    """False when the answer was lost, or the service said that it could not do it now."""
    try:
        request()
    except LOST:
        return False
    except Refused as refused:
        if refused.status < 500:
            raise
        return False
    return True


def kill_control_plane(service: Service, *, moments: int, load_balancers: int, members: int, seed: int) -> str:
    """`load_balancers` are created and `members` changed while everything dies, `moments` times over."""
    chance = random.Random(seed)
    slowest, lost = 0.0, 0
    with backends("127.0.1.1") as servers:
        quiet = a_site(service.api, servers)
        busy = a_site(service.api, [])
        ids = [busy.add_member(address=f"127.0.3.{n + 1}", protocol_port=9_000) for n in range(members)]
        busy.wait()
        for number in range(moments):
            clients = Clients(busy, weights={id: {1} for id in ids} if number == 0 else _weights(busy))
            moment = chance.uniform(0, SECONDS_PER_CHANGE * (load_balancers + members))
            note = f"seed {seed}, moment {number + 1} at {moment:.3f} s"
            print(note, flush=True)
            with under_traffic(quiet.vip, quiet.port, rate=50, kept_connections=2) as traffic:
                _work_and_die(service, clients, f"kill-{number}", load_balancers, moment, chance)
                started_at = time.monotonic()
                service.start()
                _assert_carried_out(service, clients, {quiet.id, busy.id}, note)
                slowest = max(slowest, time.monotonic() - started_at)
            assert traffic.losses == [], f"{note}: {traffic.losses[:5]}"
            lost += len(clients.asked) - len(clients.created)
            _delete_all_but(service, {quiet.id, busy.id})
        for site in (quiet, busy):
            service.api.delete_load_balancer(site.id)
    service.assert_nothing_is_left()
    return (
        f"{moments} kills while {load_balancers} load balancers were created and {members} members changed: all that "
        f"was accepted was carried out at most {slowest:.1f} s after the restart; {lost} creations had no answer, "
        "none of them was halved"
    )


def _work_and_die(
    service: Service, clients: Clients, prefix: str, load_balancers: int, moment: float, chance: random.Random
) -> None:
    orders = [partial(clients.create, f"{prefix}-{n}") for n in range(load_balancers)]
    orders += [partial(clients.change, id, chance.randint(2, 250)) for id in clients.weights]
    chance.shuffle(orders)
    with ThreadPoolExecutor(8) as pool:
        started_at = time.monotonic()
        work = [pool.submit(order) for order in orders]
        time.sleep(max(0.0, moment - (time.monotonic() - started_at)))  # nobody announces a kill
        service.kill_control_plane()
        for each in work:
            each.result()


def _weights(site: Site) -> dict[str, set[int]]:
    return {each["id"]: {each["weight"]} for each in site.api.get(site.members_path)}


def _assert_carried_out(service: Service, clients: Clients, others: set[str], note: str) -> None:
    api = service.api
    found = {each["name"]: each["id"] for each in api.get("/loadbalancers") if each["id"] not in others}
    assert clients.created <= set(found) <= clients.asked, note
    for id in [*found.values(), *others]:
        api.wait_until_active(id, 60)
    service.wait_until_quiet()

    shown = {each["id"]: each["weight"] for each in api.get(clients.site.members_path)}
    wrong = {id: (shown.get(id), may) for id, may in clients.weights.items() if shown.get(id) not in may}
    assert not wrong, f"{note}: {wrong}"
    assert weights_of(service.configuration_of(clients.site.id)) == shown, note

    wanted = {service.amphora_of(id) for id in [*found.values(), *others]}
    until(lambda: service.amphora_directories() == wanted, 10, f"no surplus amphora ({note})")
    for id in wanted:
        assert len(service.processes_of_amphora(id, "python")) >= 1, note


def _delete_all_but(service: Service, kept: set[str]) -> None:
    doomed = [each["id"] for each in service.api.get("/loadbalancers") if each["id"] not in kept]
    for id in doomed:
        service.api.delete(f"/loadbalancers/{id}?cascade=true")
    for id in doomed:
        service.api.wait_until_gone(f"/loadbalancers/{id}")

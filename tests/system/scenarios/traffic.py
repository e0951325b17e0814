"""Real requests: shared out evenly, and none lost while members change, come and go."""

import random
import time

from tests.system.backends import Backend, backends
from tests.system.service import Service
from tests.system.site import Site, a_site
from tests.system.traffic import fetch, under_traffic


def even_shares(service: Service, *, requests: int) -> str:
    with backends("127.0.1.1", "127.0.1.2") as members:
        site = a_site(service.api, members)
        before = [member.served for member in members]
        for _ in range(requests):
            fetch(site.vip, site.port)
        shares = [member.served - then for member, then in zip(members, before, strict=True)]
        service.api.delete_load_balancer(site.id)
    assert sum(shares) == requests
    assert max(shares) - min(shares) <= 2, shares
    return f"{requests} requests: {shares[0]} and {shares[1]}"


def nothing_lost(service: Service, *, seconds: float, seed: int, rate: float = 200) -> str:
    """Weights change, members come and go, while clients with new and with kept connections count their losses."""
    chance = random.Random(seed)
    with backends("127.0.1.1", "127.0.1.2", "127.0.1.3", "127.0.1.4") as members:
        site = a_site(service.api, members[:2])
        with under_traffic(site.vip, site.port, rate=rate) as traffic:
            changes = _change_for(seconds, site, members[2:], chance)
            site.wait()
        service.api.delete_load_balancer(site.id)
    assert traffic.losses == [], f"seed {seed}: {len(traffic.losses)} of {traffic.total}: {traffic.losses[:5]}"
    assert traffic.total > rate * seconds / 2, f"too little traffic to tell: {traffic.total}"
    assert len(traffic.answers) == len(members), f"somebody was never asked: {traffic.answers}"
    return f"{changes} changes in {seconds:.0f} s, {traffic.total} requests, none lost"


def _change_for(seconds: float, site: Site, spare: list[Backend], chance: random.Random) -> int:
    """How many changes were accepted."""
    until, changes = time.monotonic() + seconds, 0
    guests: list[str] = []
    while time.monotonic() < until:
        if len(guests) < len(spare):
            guests += [site.add_member(**member.member) for member in spare]
        elif chance.random() < 0.3:
            site.remove_member(guests.pop(chance.randrange(len(guests))))
            while guests:
                site.remove_member(guests.pop())
        else:
            site.change_member(chance.choice([*site.members, *guests]), weight=chance.randint(1, 20))
        changes += 1
        time.sleep(chance.uniform(0, 0.4))  # the pace of the person who changes things, nothing is waited for
    return changes

"""Kill anything: clients work while processes, connections and servers die, and at the end all is as promised."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from threading import Event, Thread

from tests.chaos.clients import Client
from tests.chaos.monkey import Monkey
from tests.chaos.outcome import require_all_well
from tests.system.service import Service


@dataclass(frozen=True)
class Chaos:
    """What was seen in one run."""

    words: str
    created: int
    killed: int

    def __str__(self) -> str:
        return self.words


def kill_anything(service: Service, *, seed: int, seconds: float, clients: int) -> Chaos:
    """Raises AssertionError with the seed."""
    working = [Client(service.api, seed * 1_000 + n, _settings(service)) for n in range(clients)]
    monkey, stop_killing, stop_working = Monkey(service, seed), Event(), Event()
    killing = Thread(target=monkey.run, args=(stop_killing,), name="monkey")
    try:
        with ThreadPoolExecutor(clients) as pool:
            done = [pool.submit(client.run, stop_working) for client in working]
            killing.start()
            stop_working.wait(seconds)
            stop_working.set()
            for each in done:
                each.result()
            stop_killing.set()
            killing.join()
        said = require_all_well(service, working)
    except AssertionError as error:
        raise AssertionError(f"seed {seed}, killed {dict(monkey.killed)}: {error}") from error
    finally:
        stop_working.set()
        stop_killing.set()
    repeated = sum(client.repeated for client in working)
    created = sum(len(client.load_balancers) for client in working)
    words = f"seed {seed}: {said}, {repeated} requests sent again; killed {dict(monkey.killed)}"
    return Chaos(words, created, monkey.killed.total())


def _settings(service: Service) -> dict[str, object]:
    if service.profile == "local":
        return {"vip_subnet_id": service.api.vip_subnet_id()}
    return {"vip_subnet_id": "8bf6d5c4-4bf0-4a4b-8c1c-0c7c6b9a3d11", "provider": "amphora"}

"""The agent as a whole: which load balancers this amphora has, what was plugged, who it is."""

import threading
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID, uuid4

from amphora.agent.counters import CounterBook
from amphora.agent.errors import Refused
from amphora.agent.load_balancer import LoadBalancer
from amphora.agent.observer import Observer
from amphora.agent.ping import install_ping
from amphora.agent.plug import Plugs
from amphora.agent.settings import AgentSettings


@dataclass
class Agent:
    """What the API and the heartbeat sender share. `settings` are replaced as a whole by PUT /1.0/config."""

    settings: AgentSettings
    boot_id: UUID = field(default_factory=uuid4)

    def __post_init__(self) -> None:
        self.base_path: Path = self.settings.base_path
        self.base_path.mkdir(mode=0o700, parents=True, exist_ok=True)
        install_ping(self.base_path)
        self.plugs = Plugs(self.base_path)
        self.observer = Observer(CounterBook(self.base_path / "stats_counters.json"))
        self._load_balancers: dict[UUID, LoadBalancer] = {}
        self._lock = threading.Lock()

    def load_balancer(self, load_balancer_id: UUID) -> LoadBalancer:
        """Also one that has no configuration yet."""
        with self._lock:
            if load_balancer_id not in self._load_balancers:
                command = self.settings.haproxy_command
                self._load_balancers[load_balancer_id] = LoadBalancer(
                    str(load_balancer_id), self.base_path, command, self.observer.count
                )
            return self._load_balancers[load_balancer_id]

    def load_balancers(self) -> list[LoadBalancer]:
        """Those with a configuration."""
        with self._lock:
            return [load_balancer for load_balancer in self._load_balancers.values() if load_balancer.exists]

    def start_what_is_on_disk(self) -> list[str]:
        """Run what ran before the agent started; returns complaints. One that does not come up is tried again."""
        complaints = []
        for configuration in self.base_path.glob("*/haproxy.cfg"):
            try:
                self.load_balancer(UUID(configuration.parent.name)).start()
            except ValueError:  # not a directory of ours
                continue
            except Refused as refused:
                complaints.append(f"load balancer {configuration.parent.name}: {refused.body}")
        return complaints

    def stop(self) -> None:
        with self._lock:
            for load_balancer in self._load_balancers.values():
                load_balancer.end()

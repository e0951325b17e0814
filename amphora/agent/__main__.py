"""Runs the agent: `python -m amphora.agent --config amphora-agent.conf`."""

import argparse
import signal
import sys
import threading
from pathlib import Path

from amphora.agent.agent import Agent
from amphora.agent.api import Api
from amphora.agent.heartbeat import HeartbeatSender, LogSocket, Mouth
from amphora.agent.metrics import Exporter
from amphora.agent.server import AgentServer
from amphora.agent.settings import InvalidSettings, read_settings


def main() -> int:
    """Until SIGTERM or SIGINT, which end HAProxy too. Exit code 2: the settings cannot be used."""
    parser = argparse.ArgumentParser(prog="amphora-agent", description="Runs an amphora")
    parser.add_argument("--config", type=Path, default=Path("/etc/octavia/amphora-agent.conf"), metavar="FILE")
    try:
        settings = read_settings(parser.parse_args().config)
        agent = Agent(settings)
        server = AgentServer(settings)
    except (InvalidSettings, OSError) as error:
        print(f"amphora-agent: {error}", file=sys.stderr)
        return 2
    _run(agent, server)
    return 0


def _run(agent: Agent, server: AgentServer) -> None:
    """HAProxy comes first: whoever reaches the API finds what was there before the restart."""
    sender = HeartbeatSender(agent, Mouth(agent.settings.bind_host))
    log = LogSocket(agent.base_path / "log.sock", sender.edges_seen)
    _in_background(log.run)
    _in_background(Exporter(agent.base_path).serve_forever)
    for complaint in agent.start_what_is_on_disk():
        print(complaint, file=sys.stderr, flush=True)
    _in_background(sender.run)
    server.api = Api(agent, sender.settings_changed, server.replace_identity)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: threading.Thread(target=server.shutdown).start())
    server.serve_forever(poll_interval=0.1)
    server.server_close()
    agent.stop()


def _in_background(run: object) -> None:
    assert callable(run)
    threading.Thread(target=run, name=getattr(run, "__qualname__", None), daemon=True).start()


if __name__ == "__main__":
    sys.exit(main())

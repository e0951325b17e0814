"""What the agent tells about the machine: versions, processors, memory, disk, load, network."""

import os
import re
import socket
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

API_VERSION = "1.0"
MEMORY_KEYS = {
    "total": "MemTotal",
    "free": "MemFree",
    "buffers": "Buffers",
    "cached": "Cached",
    "swap_used": "SwapCached",
    "shared": "Shmem",
    "slab": "Slab",
}


def info(haproxy_command: str, boot_id: str) -> dict[str, Any]:
    """`boot_id` is our addition: new with each start of the agent."""
    return {
        "hostname": socket.gethostname(),
        "haproxy_version": haproxy_version(haproxy_command),
        "api_version": API_VERSION,
        "keepalived_version": "",  # no keepalived, no LVS: the features that need them answer 501
        "ipvsadm_version": "",
        "boot_id": boot_id,
    }


def machine(base_path: Path) -> dict[str, Any]:
    """The part of `details` that is about the machine; memory in kB, disk in bytes, processor time in jiffies."""
    disk = os.statvfs(base_path)
    return {
        "networks": _networks(Path("/proc/net/dev").read_text()),
        "active": True,
        "lvs_listener_process_count": 0,
        "cpu_count": os.cpu_count() or 1,
        "cpu": _processor_time(Path("/proc/stat").read_text()),
        "memory": memory(),
        "disk": {
            "used": (disk.f_blocks - disk.f_bfree) * disk.f_frsize,
            "available": disk.f_bavail * disk.f_frsize,
        },
        "load": [f"{value:.2f}" for value in os.getloadavg()],
        "active_tuned_profiles": "",
        "topology": "SINGLE",
        "topology_status": "OK",
        "packages": {},
    }


@cache
def haproxy_version(command: str) -> str:
    words = subprocess.run([command, "-v"], env={}, capture_output=True, text=True, timeout=1, check=False).stdout
    match = re.search(r"version (\d[\w.]*)", words)
    return match[1] if match else ""


def _networks(text: str) -> dict[str, dict[str, int]]:
    networks = {}
    for line in text.splitlines()[2:]:
        name, _, numbers = line.partition(":")
        columns = numbers.split()
        if name.strip() != "lo":
            networks[name.strip()] = {"network_tx": int(columns[8]), "network_rx": int(columns[0])}
    return networks


def _processor_time(text: str) -> dict[str, int]:
    numbers = [int(number) for number in text.splitlines()[0].split()[1:]]
    return {"total": sum(numbers), "user": numbers[0], "system": numbers[2], "soft_irq": numbers[6]}


def memory() -> dict[str, int]:
    """In kB."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    values = {name: int(rest.split()[0]) for name, _, rest in (line.partition(":") for line in lines)}
    return {key: values.get(name, 0) for key, name in MEMORY_KEYS.items()}

"""Addresses that the controller plugs into this amphora: checked and remembered.

On loopback every address is there already, so nothing has to be brought up; interfaces of a machine of its own come
with the privileged profile.
"""

import json
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

from amphora.agent.errors import InvalidRequest, NotFound, Refused
from amphora.agent.files import replace_content

REQUIRED_OF_VIP = ("subnet_cidr", "gateway", "mac_address")
LOOPBACK = "lo"


class Plugs:
    """What was plugged, by MAC address, in `plugged.json`; survives a restart."""

    def __init__(self, base_path: Path) -> None:
        self._file = base_path / "plugged.json"

    def plug_vip(self, vip: str, body: dict[str, Any]) -> None:
        """Raises InvalidRequest, or Refused (409) when this port is plugged already."""
        if missing := [key for key in REQUIRED_OF_VIP if key not in body]:
            raise InvalidRequest(f"missing: {', '.join(missing)}")
        _require(ip_address, vip, "invalid VIP")
        _require(ip_network, body["subnet_cidr"], "invalid subnet_cidr")
        if body.get("vrrp_ip"):
            _require(ip_address, body["vrrp_ip"], "invalid VRRP address")
        addresses = [vip, body.get("vrrp_ip"), *_addresses(body, "additional_vips")]
        self._remember("vip", body["mac_address"], [address for address in addresses if address])

    def plug_network(self, body: dict[str, Any]) -> None:
        """A port towards members; plugged again, its addresses are replaced. Raises InvalidRequest."""
        if not isinstance(body.get("mac_address"), str):
            raise InvalidRequest("missing: mac_address")
        self._remember("network", body["mac_address"], _addresses(body, "fixed_ips"))

    def interface_of(self, address: str) -> str:
        """Raises InvalidRequest for what is no address, NotFound for one that was not plugged."""
        wanted = _require(ip_address, address, "Invalid IP address")
        for plug in self._read().values():
            if wanted in [ip_address(known) for known in plug["addresses"]]:
                return LOOPBACK
        raise NotFound(f"{address} is not plugged")

    def _remember(self, kind: str, mac_address: object, addresses: list[str]) -> None:
        plugs = self._read()
        if kind == "vip" and str(mac_address) in plugs:
            raise Refused(409, message="Interface already exists", details=f"{mac_address} is plugged already")
        plugs[str(mac_address)] = {"kind": kind, "addresses": addresses}
        replace_content(self._file, json.dumps(plugs, indent=1).encode())

    def _read(self) -> dict[str, Any]:
        try:
            plugs: dict[str, Any] = json.loads(self._file.read_text())
            return plugs
        except FileNotFoundError:
            return {}


def _require(kind: Any, value: object, complaint: str) -> Any:
    try:
        return kind(str(value))
    except ValueError as error:
        raise InvalidRequest(f"{complaint}: {error}") from error


def _addresses(body: dict[str, Any], key: str) -> list[str]:
    """Those of a list of objects that have an ip_address each."""
    entries = body.get(key) or []
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InvalidRequest(f"{key}: a list of objects is wanted")
    return [str(_require(ip_address, entry.get("ip_address"), f"{key}: invalid address")) for entry in entries]

"""Answers in Neutron's place what the openstack client asks before it calls us, in profiles without a Neutron."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from ipaddress import ip_network
from uuid import UUID

import falcon
import msgspec
from falcon import Request, Response

from commands.ports import NetworkReads, Port, Subnet
from infra.http import Routes

Document = dict[str, object]
Documents = Callable[[], Sequence[Document]]
MadeUp = Callable[[str], Document | None]
"""Gives what there is under an id or a name although no list has it."""


class NetworkResources:
    """A list, filtered by any attribute that its objects have.

    A client that has a name, or an id, looks it up by a filter: that finds what is made up as well.
    """

    def __init__(self, documents: Documents, made_up: MadeUp, many: str) -> None:
        self._documents = documents
        self._made_up = made_up
        self._many = many

    def on_get(self, req: Request, resp: Response) -> None:
        resp.content_type = falcon.MEDIA_JSON
        found = [document for document in self._documents() if _matches(document, req.params)]
        wanted = req.params.get("id") or req.params.get("name")
        if not found and isinstance(wanted, str):
            made_up = self._made_up(wanted)
            found = [made_up] if made_up is not None and _matches(made_up, req.params) else []
        resp.data = msgspec.json.encode({self._many: found})


def _matches(document: Mapping[str, object], params: Mapping[str, str | list[str]]) -> bool:
    return all(
        str(document[name]) in ([said] if isinstance(said, str) else said)
        for name, said in params.items()
        if name in document
    )


class NetworkResource:
    """One object by its id."""

    def __init__(self, documents: Documents, made_up: MadeUp, one: str) -> None:
        self._documents = documents
        self._made_up = made_up
        self._one = one

    def on_get(self, req: Request, resp: Response, id: str) -> None:
        resp.content_type = falcon.MEDIA_JSON
        document = self._find(id)
        if document is not None:
            resp.data = msgspec.json.encode({self._one: document})
            return
        kind = self._one.title().replace("_", "")
        error = {"type": f"{kind}NotFound", "message": f"{kind} {id} could not be found.", "detail": ""}
        resp.status = falcon.HTTP_404
        resp.data = msgspec.json.encode({"NeutronError": error})

    def _find(self, id: str) -> Document | None:
        listed = next((document for document in self._documents() if document["id"] == id), None)
        return listed or (self._made_up(id) if is_id(id) else None)


def is_id(text: str) -> bool:
    """Whether it is an id rather than a name."""
    try:
        return str(UUID(text)) == text.lower()
    except ValueError:
        return False


def network_routes(reads: NetworkReads) -> Routes:
    """Below the API's version."""
    kinds = (
        ("/networks", reads.networks, "networks", "network"),
        ("/subnets", reads.subnets, "subnets", "subnet"),
        ("/ports", reads.ports, "ports", "port"),
        ("/qos/policies", reads.qos_policies, "policies", "policy"),
        ("/security-groups", reads.security_groups, "security_groups", "security_group"),
    )
    lists = {path: NetworkResources(shown, partial(reads.made_up, one), many) for path, shown, many, one in kinds}
    ones = {f"{path}/{{id}}": NetworkResource(shown, partial(reads.made_up, one), one) for path, shown, _, one in kinds}
    return {**lists, **ones}


# Documents in the format of Neutron's API. What belongs to no project is for all.


def network_document(id: UUID, name: str, subnet_ids: Sequence[UUID], *, port_security: bool = True) -> Document:
    own: Document = {
        "status": "ACTIVE",
        "admin_state_up": True,
        "shared": True,
        "router:external": False,
        "port_security_enabled": port_security,
        "mtu": 65_536,
        "subnets": [str(each) for each in subnet_ids],
        "qos_policy_id": None,
        "availability_zones": [],
    }
    return _document(id, name, own)


def subnet_document(subnet: Subnet) -> Document:
    range_ = ip_network(subnet.cidr)
    first, last = (1, -2) if range_.num_addresses > 2 else (0, -1)
    own: Document = {
        "network_id": str(subnet.network_id),
        "cidr": subnet.cidr,
        "ip_version": range_.version,
        "gateway_ip": subnet.gateway,
        "enable_dhcp": False,
        "allocation_pools": [{"start": str(range_[first]), "end": str(range_[last])}],
        "dns_nameservers": [],
        "host_routes": [],
        "ipv6_address_mode": None,
        "ipv6_ra_mode": None,
        "subnetpool_id": None,
    }
    return _document(subnet.id, subnet.name, own)


def port_document(port: Port, name: str, project_id: str = "") -> Document:
    own: Document = {
        "network_id": str(port.network_id),
        "fixed_ips": [{"subnet_id": str(each.subnet_id), "ip_address": each.address} for each in port.fixed_ips],
        "device_id": port.device_id,
        "device_owner": "Octavia" if port.device_id else "",
        "status": "ACTIVE" if port.device_id else "DOWN",
        "admin_state_up": True,
        "mac_address": _mac_address(port.id),
        "security_groups": [],
        "allowed_address_pairs": [],
        "qos_policy_id": None if port.qos_policy_id is None else str(port.qos_policy_id),
        "binding:vnic_type": "normal",
    }
    return _document(port.id, name, own, project_id)


def qos_policy_document(id: UUID, name: str) -> Document:
    return _document(id, name, {"shared": True, "is_default": False, "rules": []})


def security_group_document(id: UUID, name: str) -> Document:
    return _document(id, name, {"shared": True, "stateful": True, "security_group_rules": []})


def _document(id: UUID, name: str, own: Document, project_id: str = "") -> Document:
    about: Document = {"project_id": project_id, "tenant_id": project_id, "description": ""}
    return {"id": str(id), "name": name, **own, **about, "tags": [], "revision_number": 1}


def _mac_address(id: UUID) -> str:
    """Locally administered, as no network card stands behind it."""
    return ":".join(f"{byte:02x}" for byte in (0xFA, 0x16, 0x3E, *id.bytes[:3]))

"""Certificates that tenants keep in a real Barbican, with tokens of a real Keystone."""

import base64
from typing import Any
from uuid import uuid4

import pytest
import requests
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from infra.local_network import VIP_SUBNET
from tests.infra.test_barbican import a_bundle, a_certificate, pem
from tests.keystone.conftest import OTHER, OWN, SET_UP_SECONDS, Service

pytestmark = [pytest.mark.keystone, pytest.mark.postgres, pytest.mark.timeout(SET_UP_SECONDS)]


class Vault:
    """Barbican as one user of it sees it; references are as it gives them."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._headers = {"X-Auth-Token": token}

    def keep(self, payload: bytes, content_type: str = "application/octet-stream") -> str:
        is_text = content_type == "text/plain"
        body = {"payload": payload.decode() if is_text else base64.b64encode(payload).decode()}
        body |= {"payload_content_type": content_type}
        body |= {} if is_text else {"payload_content_encoding": "base64"}
        return str(self._post("secrets", body)["secret_ref"])

    def contain(self, **parts: str) -> str:
        listed = [{"name": name, "secret_ref": ref} for name, ref in parts.items()]
        body = {"name": "tls", "type": "certificate", "secret_refs": listed}
        return str(self._post("containers", body)["container_ref"])

    def _post(self, kind: str, body: object) -> Any:
        answer = requests.post(f"{self._url}/v1/{kind}", json=body, headers=self._headers, timeout=30)
        assert answer.status_code == 201, answer.text
        return answer.json()


@pytest.fixture
def own(service_with_secrets: Service, barbican: str) -> Vault:
    return Vault(barbican, service_with_secrets.cloud.token("owner", OWN))


@pytest.fixture
def foreign(service_with_secrets: Service, barbican: str) -> Vault:
    return Vault(barbican, service_with_secrets.cloud.token("stranger", OTHER))


def terminating(service: Service, reference: str) -> tuple[int, str]:
    """Status and fault of a listener that terminates TLS: 501 by the amphora provider when nothing else is wrong."""
    token = service.cloud.token("owner", OWN)
    body = {"loadbalancer": {"vip_subnet_id": str(VIP_SUBNET.id)}}
    id = service.call(token, "POST", "/loadbalancers", body).json["loadbalancer"]["id"]
    settings = {"loadbalancer_id": id, "protocol": "TERMINATED_HTTPS", "protocol_port": 443}
    asked = {"listener": settings | {"default_tls_container_ref": reference}}
    answer = service.call(token, "POST", "/listeners", asked)
    return answer.status_code, answer.json["faultstring"]


def test_bundle_of_the_own_project_is_read(service_with_secrets: Service, own: Vault) -> None:
    status, fault = terminating(service_with_secrets, own.keep(a_bundle()))

    assert (status, "ertificate" in fault) == (501, False)


def test_container_of_the_own_project_is_read(service_with_secrets: Service, own: Vault) -> None:
    """Its parts are texts, as the openstack command stores them."""
    certificate, key = a_certificate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    parts = {"certificate": own.keep(pem(certificate), "text/plain"), "private_key": own.keep(private, "text/plain")}

    status, fault = terminating(service_with_secrets, own.contain(**parts))

    assert (status, "ertificate" in fault) == (501, False)


def test_secret_of_another_project_is_not_read(service_with_secrets: Service, foreign: Vault) -> None:
    reference = foreign.keep(a_bundle())

    assert terminating(service_with_secrets, reference) == (400, f"Could not retrieve certificate: ['{reference}']")


def test_secret_that_is_not_there_is_not_found(service_with_secrets: Service, barbican: str) -> None:
    reference = f"{barbican}/v1/secrets/{uuid4()}"

    assert terminating(service_with_secrets, reference) == (400, f"Could not retrieve certificate: ['{reference}']")


def test_secret_that_is_no_bundle_is_refused(service_with_secrets: Service, own: Vault) -> None:
    status, fault = terminating(service_with_secrets, own.keep(b"keep off", "text/plain"))

    assert status == 400
    assert fault.startswith("The PKCS12 bundle is unreadable.")

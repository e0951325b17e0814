"""What a secret store may do to us: answer, refuse, be slow, be huge, lie. A real HTTP server has Barbican's words."""

import json
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from uuid import uuid4

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    pkcs12,
)
from cryptography.x509.oid import NameOID

from commands.certificates import Bundle, NoSecrets, SecretUnavailable, StoredCertificates
from domain.errors import Invalid
from infra.barbican import Barbican
from infra.identity import Everyone

TOKEN = "a token"
CALLER = Everyone(project_id="p", token=TOKEN)
SLOW_SECONDS = 0.3


@dataclass
class Store:
    """secrets: id -> payload, or a status to answer with; a slow one sends a byte now and then."""

    url: str = ""
    secrets: dict[str, bytes | int] = field(default_factory=dict)
    containers: dict[str, dict[str, str]] = field(default_factory=dict)
    slow: set[str] = field(default_factory=set)
    tokens: list[str] = field(default_factory=list)

    def keep(self, payload: bytes | int, *, is_slow: bool = False) -> str:
        """Its reference."""
        id = str(uuid4())
        self.secrets[id] = payload
        if is_slow:
            self.slow.add(id)
        return f"https://elsewhere.example.com/v1/secrets/{id}"

    def contain(self, **parts: bytes) -> str:
        id = str(uuid4())
        self.containers[id] = {name: self.keep(payload) for name, payload in parts.items()}
        return f"https://elsewhere.example.com/v1/containers/{id}"


@pytest.fixture
def store() -> Iterator[Store]:
    store = Store()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            store.tokens.append(self.headers["X-Auth-Token"])
            kind, id = self.path.split("/")[2:4]
            content = 406 if "," in self.headers["Accept"] else _content(store, kind, id)
            status = content if isinstance(content, int) else 200
            body = b"" if isinstance(content, int) else content
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if id in store.slow:
                _drip(self.wfile, body)
            else:
                self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nobody reads it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    store.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield store
    server.shutdown()
    thread.join()
    server.server_close()


def _content(store: Store, kind: str, id: str) -> bytes | int:
    if kind == "containers":
        parts = store.containers.get(id)
        listed = [{"name": name, "secret_ref": ref} for name, ref in (parts or {}).items()]
        return 404 if parts is None else json.dumps({"secret_refs": listed}).encode()
    return store.secrets.get(id, 404)


def _drip(to: Any, body: bytes) -> None:
    try:
        for byte in body:
            to.write(bytes([byte]))
            to.flush()
            time.sleep(SLOW_SECONDS / 4)  # the peer's slowness is what is tested
    except OSError:
        """The client had enough."""


def checks(store: Store) -> StoredCertificates:
    return StoredCertificates(Barbican(store.url, timeout_seconds=SLOW_SECONDS))


# Certificates


def a_name(common_name: str | None) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)] if common_name else [])


def a_certificate(common_name: str | None = "www.example.com") -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(a_name(common_name)).issuer_name(a_name(common_name))
    builder = builder.public_key(key.public_key()).serial_number(1)
    builder = builder.not_valid_before(now).not_valid_after(now + timedelta(days=1))
    return builder.sign(key, hashes.SHA256()), key


def a_bundle(common_name: str | None = "www.example.com", *, password: bytes | None = None) -> bytes:
    certificate, key = a_certificate(common_name)
    encryption = NoEncryption() if password is None else BestAvailableEncryption(password)
    return pkcs12.serialize_key_and_certificates(b"name", key, certificate, None, encryption)


def pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)


def revocations(key: ec.EllipticCurvePrivateKey) -> bytes:
    now = datetime.now(UTC)
    builder = x509.CertificateRevocationListBuilder().issuer_name(a_name("ca"))
    builder = builder.last_update(now).next_update(now + timedelta(days=1))
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def listener(**refs: object) -> dict[str, object]:
    return {"sni_container_refs": (), **refs}


# Stories


def test_a_bundle_is_read_with_the_callers_own_token_from_the_operators_endpoint(store: Store) -> None:
    reference = store.keep(a_bundle())

    checks(store).require(listener(default_tls_container_ref=reference), CALLER)

    assert store.tokens == [TOKEN]


def test_a_container_of_the_older_kind_is_read_as_well(store: Store) -> None:
    certificate, key = a_certificate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    reference = store.contain(certificate=pem(certificate), private_key=private)

    checks(store).require(listener(default_tls_container_ref=reference), CALLER)

    assert isinstance(Barbican(store.url).payload(reference, TOKEN), Bundle)


def test_all_references_are_tried_before_the_missing_ones_are_named(store: Store) -> None:
    missing, forbidden = store.keep(404), store.keep(403)
    refs = listener(default_tls_container_ref=missing, sni_container_refs=(store.keep(a_bundle()), forbidden))

    with pytest.raises(Invalid) as refused:
        checks(store).require(refs, CALLER)

    assert str(refused.value) == f"Could not retrieve certificate: ['{missing}', '{forbidden}']"
    assert len(store.tokens) == 3


@pytest.mark.parametrize("status", [401, 403, 404, 500, 503])
def test_a_store_that_refuses_is_told_to_the_user(store: Store, status: int) -> None:
    with pytest.raises(Invalid, match=r"^Could not retrieve certificate"):
        checks(store).require(listener(default_tls_container_ref=store.keep(status)), CALLER)


def test_a_store_that_sends_a_byte_now_and_then_is_not_waited_for(store: Store) -> None:
    reference = store.keep(b"x" * 1_000, is_slow=True)
    began = time.monotonic()

    with pytest.raises(SecretUnavailable):
        Barbican(store.url, timeout_seconds=SLOW_SECONDS).payload(reference, TOKEN)

    assert time.monotonic() - began < 1_000 * SLOW_SECONDS / 4 / 2


def test_a_store_that_is_not_there_is_told_to_the_user() -> None:
    unreachable = StoredCertificates(Barbican("http://127.0.0.1:1"))

    with pytest.raises(Invalid, match=r"^Could not retrieve certificate"):
        unreachable.require(listener(default_tls_container_ref=f"/secrets/{uuid4()}"), CALLER)


def test_a_secret_that_is_too_large_is_not_read_to_its_end(store: Store) -> None:
    with pytest.raises(SecretUnavailable, match="too large"):
        Barbican(store.url).payload(store.keep(b"x" * 3_000_000), TOKEN)


@pytest.mark.parametrize(
    "reference",
    [
        "",
        "nonsense",
        "http://127.0.0.1:1/v1/secrets/../../etc/passwd",
        "http://x/v1/orders/5d4e8203-ca77-4afb-b012-4a9aa4080dbf",
    ],
)
def test_what_names_no_secret_is_not_asked_for(store: Store, reference: str) -> None:
    with pytest.raises(SecretUnavailable):
        Barbican(store.url).payload(reference, TOKEN)

    assert store.tokens == []


@pytest.mark.parametrize(
    "payload", [b"", b"nonsense", a_bundle(password=b"secret")], ids=["empty", "nonsense", "locked"]
)
def test_a_bundle_has_to_be_readable_without_a_pass_phrase(store: Store, payload: bytes) -> None:
    with pytest.raises(Invalid, match=r"^The PKCS12 bundle is unreadable. Please check the PKCS12 bundle validity"):
        checks(store).require(listener(default_tls_container_ref=store.keep(payload)), CALLER)


def test_a_certificate_needs_a_name(store: Store) -> None:
    with pytest.raises(Invalid, match=r"^No CN or DNSName\(s\) found in certificate"):
        checks(store).require(listener(default_tls_container_ref=store.keep(a_bundle(None))), CALLER)


def test_an_authority_and_its_revocations_have_to_belong_together(store: Store) -> None:
    (authority, key), (_, other) = a_certificate("ca"), a_certificate("other")
    ca = store.keep(pem(authority))

    checks(store).require(
        listener(client_ca_tls_container_ref=ca, client_crl_container_ref=store.keep(revocations(key))), CALLER
    )
    refs = listener(client_ca_tls_container_ref=ca, client_crl_container_ref=store.keep(revocations(other)))
    with pytest.raises(Invalid, match="The CRL specified is not valid for client certificate authority reference"):
        checks(store).require(refs, CALLER)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("client_ca_tls_container_ref", "The client authentication CA certificate is invalid."),
        ("client_crl_container_ref", "The client authentication certificate revocation list is invalid."),
        ("ca_tls_container_ref", "The client authentication CA certificate is invalid."),
        ("crl_container_ref", "The client authentication certificate revocation list is invalid."),
    ],
)
def test_authorities_and_revocations_have_to_be_pem(store: Store, name: str, words: str) -> None:
    with pytest.raises(Invalid, match=f"^Validation failure: {words}"):
        checks(store).require({name: store.keep(b"nonsense")}, CALLER)


def test_without_a_store_nothing_can_be_retrieved() -> None:
    with pytest.raises(Invalid, match=r"^Could not retrieve certificate"):
        StoredCertificates(NoSecrets()).require(listener(default_tls_container_ref="/secrets/x"), CALLER)

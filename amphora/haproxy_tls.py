"""What HAProxy is told about TLS: the options of a port that clients connect to, and of the servers behind it."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from amphora.haproxy_words import Unrenderable, matching
from domain.listener import Listener
from domain.pool import Pool
from domain.progress import Kind, Ref
from domain.tls import Alpn, ClientAuthentication


@dataclass(frozen=True, kw_only=True)
class TlsFiles:
    """Where an amphora keeps what TLS needs: paths of files, of letters, digits and _ . / = @ + -

    secrets  reference in the secret store -> PEM file: a certificate with its chain and key, an authority, or a list
             of revocations
    lists    listener -> what `certificate_list` says of it
    """

    secrets: Mapping[str, str] = field(default_factory=dict)
    lists: Mapping[UUID, str] = field(default_factory=dict)

    def secret(self, ref: Ref, name: str, reference: str) -> str:
        return _path(ref, name, self.secrets.get(reference))

    def list_of(self, listener: Listener) -> str:
        return _path(Ref(Kind.LISTENER, listener.id), "certificates", self.lists.get(listener.id))


NO_FILES = TlsFiles()


def certificate_list(listener: Listener, files: TlsFiles) -> str:
    """The certificates that a listener shows, a file a line: the first one to clients that name no known host.

    Raises Unrenderable when there is none.
    """
    ref = Ref(Kind.LISTENER, listener.id)
    if not listener.certificates:
        raise Unrenderable(ref, "there is no certificate to show")
    paths = [files.secret(ref, "certificate", reference) for reference in listener.certificates]
    return "".join(f"{path}\n" for path in dict.fromkeys(paths))


def bind_words(listener: Listener, files: TlsFiles) -> tuple[str, ...]:
    """The options of a bind line, none for a listener without TLS. Raises Unrenderable."""
    if not listener.terminates_tls:
        return ()
    ref = Ref(Kind.LISTENER, listener.id)
    if not listener.certificates:
        raise Unrenderable(ref, "there is no certificate to show")
    shown = ("ssl", "crt-list", files.list_of(listener))
    asked = _of_clients(ref, listener, files)
    alpn = _alpn(ref, listener.alpn_protocols)
    return (*shown, *asked, *_spoken(ref, listener), *(("alpn", alpn) if alpn else ()))


def _of_clients(ref: Ref, listener: Listener, files: TlsFiles) -> Iterator[str]:
    """A list of revocations says nothing without the authority that signed it."""
    authority, revocations = listener.client_ca_tls_container_ref, listener.client_crl_container_ref
    if authority is None:
        return
    yield from ("ca-file", files.secret(ref, "client_ca_tls_container_ref", authority))
    yield from ("verify", _VERIFY[listener.client_authentication])
    if revocations is not None:
        yield from ("crl-file", files.secret(ref, "client_crl_container_ref", revocations))


_VERIFY = {
    ClientAuthentication.NONE: "none",
    ClientAuthentication.OPTIONAL: "optional",
    ClientAuthentication.MANDATORY: "required",
}


def server_words(pool: Pool, files: TlsFiles) -> tuple[str, ...]:
    """The options of a pool's servers, none for a pool without TLS. Raises Unrenderable.

    The server is asked for the host that the client named.
    """
    if not pool.tls_enabled:
        return ()
    ref = Ref(Kind.POOL, pool.id)
    return ("ssl", "sni", "ssl_fc_sni", *_of_servers(ref, pool, files), *_spoken(ref, pool))


def server_alpn(pool: Pool) -> str:
    """What may be spoken to servers within TLS, empty where nothing is agreed on."""
    return _alpn(Ref(Kind.POOL, pool.id), pool.alpn_protocols) if pool.tls_enabled else ""


def _of_servers(ref: Ref, pool: Pool, files: TlsFiles) -> Iterator[str]:
    if pool.tls_container_ref is not None:
        yield from ("crt", files.secret(ref, "tls_container_ref", pool.tls_container_ref))
    if pool.ca_tls_container_ref is None:
        yield from ("verify", "none")
        return
    yield from ("ca-file", files.secret(ref, "ca_tls_container_ref", pool.ca_tls_container_ref))
    yield from ("verify", "required")
    if pool.crl_container_ref is not None:
        yield from ("crl-file", files.secret(ref, "crl_container_ref", pool.crl_container_ref))


def _spoken(ref: Ref, settings: Listener | Pool) -> Iterator[str]:
    """Ciphers up to TLS 1.2 and suites of TLS 1.3 are two lists in HAProxy and one in the contract."""
    given = matching(ref, "tls_ciphers", r"[A-Za-z0-9\-+!:@=_.]*", settings.tls_ciphers or "")
    names = [name for name in given.split(":") if name]
    for option, chosen in (
        ("ciphers", [name for name in names if not name.startswith("TLS_")]),
        ("ciphersuites", [name for name in names if name.startswith("TLS_")]),
    ):
        if chosen:
            yield from (option, ":".join(chosen))
    if settings.tls_versions is not None:
        yield from _switched_off(ref, settings.tls_versions)


def _switched_off(ref: Ref, versions: Sequence[str]) -> Iterator[str]:
    unknown = set(versions) - set(_OFF)
    if unknown or not versions:
        raise Unrenderable(ref, f"tls_versions {list(versions)} are not all known to HAProxy")
    yield from (word for version, word in _OFF.items() if version not in versions)


_OFF = {
    "SSLv3": "no-sslv3",
    "TLSv1": "no-tlsv10",
    "TLSv1.1": "no-tlsv11",
    "TLSv1.2": "no-tlsv12",
    "TLSv1.3": "no-tlsv13",
}


def _alpn(ref: Ref, protocols: Sequence[Alpn] | None) -> str:
    return matching(ref, "alpn_protocols", r"[a-z0-9/.,]*", ",".join(protocols or ()))


def _path(ref: Ref, name: str, path: str | None) -> str:
    """In a list of certificates nothing can be quoted."""
    if path is None:
        raise Unrenderable(ref, f"{name}: the amphora has no such file")
    if not re.fullmatch(r"[A-Za-z0-9_./=@+-]+", path):
        raise Unrenderable(ref, f"{name}: {path!r} is no path that HAProxy can be given")
    return path

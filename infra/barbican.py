"""The secret store of OpenStack: reads certificates that users keep in Barbican, with their own tokens."""

import json
import re
import time
from uuid import UUID

import requests

from commands.certificates import Bundle, SecretUnavailable

TIMEOUT_SECONDS = 5.0
"""Until a request is connected, for each part of its answer, and for all of them: whoever creates a listener waits."""

_REFERENCE = re.compile(r"/(secrets|containers)/([0-9a-fA-F-]{36})/?$")
_LARGEST = 1_048_576


class Barbican:
    """Reads secrets and certificate containers.

    A reference is a URL that a user wrote: only the kind and the id in it count, and what is asked is always the
    operator's endpoint.
    """

    def __init__(self, endpoint: str, *, timeout_seconds: float = TIMEOUT_SECONDS) -> None:
        self._endpoint = endpoint.rstrip("/").removesuffix("/v1")
        self._timeout_seconds = timeout_seconds

    def payload(self, reference: str, token: str) -> bytes | Bundle:
        kind, id = _parsed(reference)
        return self._secret(id, token) if kind == "secrets" else self._container(id, token)

    def _container(self, id: UUID, token: str) -> Bundle:
        found = self._get(f"containers/{id}", token, "application/json")
        try:
            listed = json.loads(found)["secret_refs"]
            parts = {part["name"]: _parsed(part["secret_ref"])[1] for part in listed}
        except (ValueError, KeyError, TypeError) as error:
            raise SecretUnavailable(f"the container {id} is not understood") from error
        if not {"certificate", "private_key"} <= parts.keys():
            raise SecretUnavailable(f"the container {id} holds no certificate with its key")
        read = {name: self._secret(part, token) for name, part in parts.items()}
        return Bundle(read["certificate"], read["private_key"], read.get("intermediates", b""))

    def _secret(self, id: UUID, token: str) -> bytes:
        return self._get(f"secrets/{id}/payload", token, "*/*")  # of several types by name Barbican takes none

    def _get(self, path: str, token: str, accepted: str) -> bytes:
        headers = {"X-Auth-Token": token, "Accept": accepted}
        try:
            with requests.get(
                f"{self._endpoint}/v1/{path}",
                headers=headers,
                timeout=self._timeout_seconds,
                allow_redirects=False,
                stream=True,
            ) as answer:
                if answer.status_code != requests.codes.ok:
                    raise SecretUnavailable(f"Barbican answered {answer.status_code}")
                return self._content_of(answer)
        except requests.RequestException as error:
            raise SecretUnavailable(str(error)) from error

    def _content_of(self, answer: requests.Response) -> bytes:
        """As long as it can be a certificate, and comes in time: a server may send a byte now and then for ever."""
        content = bytearray()
        deadline = time.monotonic() + self._timeout_seconds
        while piece := answer.raw.read1(65_536):  # `iter_content` would wait until its piece is full
            content += piece
            if len(content) > _LARGEST or time.monotonic() > deadline:
                raise SecretUnavailable("the secret is too large for a certificate, or comes too slowly")
        return bytes(content)


def _parsed(reference: str) -> tuple[str, UUID]:
    found = _REFERENCE.search(reference)
    if found is None:
        raise SecretUnavailable(f"{reference} names no secret")
    try:
        return found[1], UUID(found[2])
    except ValueError:
        raise SecretUnavailable(f"{reference} names no secret") from None

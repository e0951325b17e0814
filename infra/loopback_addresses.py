"""Loopback addresses for what runs on this machine, each given to one owner at a time, across services and restarts."""

import os
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path

CLAIMS = Path("/tmp/tacitus-addresses")


class NoAddressLeft(Exception):
    def __init__(self, network: IPv4Network, claims: Path) -> None:
        super().__init__(f"every address of {network} is claimed in {claims}")


@dataclass(frozen=True)
class LoopbackAddresses:
    """The addresses of one network, claimed machine-wide: a claim is a symbolic link from the address to its owner.

    Making a link is atomic and says who came first, also between users and state directories. Where claims vanish (a
    reboot empties /tmp) owners claim their recorded addresses again.
    """

    network: IPv4Network
    claims: Path = CLAIMS

    def claim(self, owner: Path) -> IPv4Address:
        """A free address for `owner`, a path that is its alone. The same owner mostly gets the same address again.

        Raises NoAddressLeft.
        """
        size = self.network.num_addresses
        first = int.from_bytes(sha256(os.fsencode(owner)).digest()[:8], "big") % size
        for step in range(size):
            address = self.network[(first + step) % size]
            if address.packed[-1] not in (0, 255) and self.claim_again(address, owner):
                return address
        raise NoAddressLeft(self.network, self.claims)

    def claim_again(self, address: IPv4Address, owner: Path) -> bool:
        """Whether the address is the owner's, because it was already or because nobody else had it."""
        while True:
            try:
                (self.claims / str(address)).symlink_to(owner)
                return True
            except FileExistsError:
                return self._owner(address) == owner
            except FileNotFoundError:
                self._make_directory()

    def release(self, address: IPv4Address, owner: Path) -> None:
        """Give the address back; fine when it is not the owner's any more."""
        if self._owner(address) == owner:
            (self.claims / str(address)).unlink(missing_ok=True)
            with suppress(OSError):  # others still hold claims, or the directory is another user's
                self.claims.rmdir()

    def _make_directory(self) -> None:
        with suppress(FileExistsError):
            self.claims.mkdir()
            self.claims.chmod(0o1777)  # every user may claim, nobody may take another's

    def _owner(self, address: IPv4Address) -> Path | None:
        try:
            return Path(os.readlink(self.claims / str(address)))
        except FileNotFoundError:
            return None

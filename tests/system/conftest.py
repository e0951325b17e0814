"""A running service for the tests of this directory: one that they share, and one for a test that kills it."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.system.service import Service


@contextmanager
def a_state_directory() -> Iterator[Path]:
    """Not tmp_path: the database's user must be able to pass through, and paths of sockets hold 107 bytes."""
    directory = Path(tempfile.mkdtemp(prefix="tacitus-")).resolve()
    directory.chmod(0o711)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextmanager
def a_service(profile: str = "local", *, replicas: int = 1, with_kafka: bool = False) -> Iterator[Service]:
    """with_kafka: events travel through a broker"""
    with a_state_directory() as directory:
        service = Service(directory / "state", profile, replicas=replicas, with_kafka=with_kafka)
        try:
            service.start()
            yield service
        except Exception as error:
            error.add_note(f"what its services said is in {_kept(service)}")
            raise
        finally:
            service.clean_up()


def _kept(service: Service) -> Path:
    place = Path(tempfile.mkdtemp(prefix="tacitus-failed-"))
    for log in service.directory.glob("log/*"):
        shutil.copy(log, place)
    return place


@pytest.fixture(scope="session")
def shared_service() -> Iterator[Service]:
    """It has to stop well once all tests are done with it."""
    with a_service() as service:
        yield service
        service.stop()


@pytest.fixture
def service(shared_service: Service) -> Iterator[Service]:
    """Whatever a test creates is deleted after it, and then nothing may be left."""
    yield shared_service
    api = shared_service.api
    for load_balancer in api.get("/loadbalancers"):
        api.delete_load_balancer(load_balancer["id"])
    shared_service.assert_nothing_is_left()


@pytest.fixture
def own_service() -> Iterator[Service]:
    with a_service() as service:
        yield service

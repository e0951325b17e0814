"""What every processes.ports.EventStream promises, whoever carries the events."""

from collections.abc import Callable
from itertools import pairwise
from threading import Thread
from uuid import UUID, uuid4

from domain import load_balancer_events as events
from domain.fields import Position
from domain.load_balancer import LoadBalancer
from domain.load_balancer_events import LoadBalancerSettings
from processes.ports import EventStream, Recorded
from tests.given import a_load_balancer

Append = Callable[[LoadBalancer], None]
SLOW_LOOK_SECONDS = 5.0


def everything(stream: EventStream, page: int) -> list[Recorded]:
    """Read as a consumer does: page by page, each behind the last position."""
    read: list[Recorded] = []
    while items := stream.read_after(read[-1].position if read else Position(0), page):
        read += items
    return read


def positions_grow_and_pages_join_without_gaps(stream: EventStream, append: Append) -> None:
    for _ in range(7):
        append(a_load_balancer())

    by_threes = everything(stream, page=3)

    assert by_threes == everything(stream, page=100)
    assert len(by_threes) == 7
    assert all(before.position < after.position for before, after in pairwise(by_threes))


def events_of_one_load_balancer_keep_their_order(stream: EventStream, append: Append) -> None:
    """Many writers at once: whoever reads while they write misses nothing and sees each stream in its order."""
    load_balancers = [a_load_balancer(id=uuid4()) for _ in range(8)]

    def write(load_balancer: LoadBalancer) -> None:
        append(load_balancer)
        for n in range(10):
            load_balancer.change(LoadBalancerSettings(name=str(n)))
            append(load_balancer)

    writers = [Thread(target=write, args=(load_balancer,)) for load_balancer in load_balancers]
    for writer in writers:
        writer.start()
    read: list[Recorded] = []
    while len(read) < 8 * 11:
        items = stream.read_after(read[-1].position if read else Position(0), 10)
        read += items
        if not items:
            stream.wait(SLOW_LOOK_SECONDS)
    for writer in writers:
        writer.join()

    versions: dict[UUID, list[int]] = {}
    for item in read:
        event = item.event
        assert isinstance(event, events.Event)
        versions.setdefault(event.originator_id, []).append(event.originator_version)
    assert versions == {load_balancer.id: list(range(1, 12)) for load_balancer in load_balancers}

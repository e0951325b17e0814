"""When Python looks for cycles among its objects."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def few_collections(objects: int) -> Iterator[None]:
    """For whoever makes millions of values without a cycle among them: looking for one takes half as long again.

    objects  how many more there have to be before the next look
    """
    before = gc.get_threshold()
    gc.set_threshold(objects, *before[1:])
    try:
        yield
    finally:
        gc.set_threshold(*before)


def settle() -> None:
    """For a service that has started: what is there by now stays, and requests leave few cycles behind."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, *gc.get_threshold()[1:])

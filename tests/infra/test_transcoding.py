"""What threads rely on: nothing about the classes of events is learned while they run."""

import subprocess
import sys

_MADE_LATER = """
import infra.transcoding as transcoding
before = transcoding._decoder_of.cache_info().misses
from infra.event_schemas import event_classes
for event_class in event_classes():
    transcoding._decoder_of(event_class)
print(transcoding._decoder_of.cache_info().misses - before)
"""


def test_decoders_are_made_before_there_are_threads() -> None:
    """In a process of its own: in this one other tests have made them."""
    done = subprocess.run([sys.executable, "-c", _MADE_LATER], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "0"

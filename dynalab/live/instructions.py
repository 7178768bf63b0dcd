"""What comes over a node's standard input (see `keeper`): a student's parts, when it starts and while it runs."""

from __future__ import annotations

import os
from queue import SimpleQueue
from threading import Thread
from typing import IO

from dynalab.core.config import Parts
from dynalab.disk.engines import Records
from dynalab.guard import run_guarded
from dynalab.live.frames import read_frame
from dynalab.live.spec import read_parts

RECOVERY_MS = 10_000
"""The part `recovery` may take so long; it reads a whole log."""


def loaded_parts(pickled: bytes) -> Parts:
    """The student's parts, from the owner of this process over standard input and from nowhere else."""
    if not pickled:
        return Parts()
    import cloudpickle

    parts = cloudpickle.loads(pickled)
    assert isinstance(parts, Parts)
    return parts


def guarded_recovery(parts: Parts) -> Records | None:
    """The part that reads logs, under a guard of its own; None: none was given."""
    if parts.recovery is None:
        return None
    guard, recovery = run_guarded(RECOVERY_MS), parts.recovery

    def records(log_bytes: bytes) -> list[bytes]:
        answer: list[bytes] = guard("recovery", recovery, (log_bytes,))
        return answer

    return records


class Instructions:
    """What comes over standard input while the node runs: new parts; its end is the node's end.

    A thread listens, so that a node ends at once even while a student's part runs for ever.
    """

    def __init__(self, pipe: IO[bytes]) -> None:
        self._pipe = pipe
        #: (number, cloudpickle of parts)
        self._frames: SimpleQueue[bytes] = SimpleQueue()

    def listen(self) -> None:
        """Begin to listen."""
        Thread(target=self._listen, name="instructions", daemon=True).start()

    def _listen(self) -> None:
        while (frame := read_frame(self._pipe)) is not None:
            self._frames.put(frame)
        os._exit(0)

    def parts(self, number: int) -> bytes:
        """The parts, still as bytes, that were sent under this number; they were sent before whoever asks knew of them.

        Raises:
            queue.Empty: they have not come within 5 seconds.
        """
        while True:
            frame = read_parts(self._frames.get(timeout=5))
            if frame.number == number:
                return frame.parts

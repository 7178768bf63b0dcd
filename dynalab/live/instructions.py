"""What comes over a node's standard input while it runs (see `keeper`)."""

from __future__ import annotations

import os
from queue import SimpleQueue
from threading import Thread
from typing import IO

from dynalab.live.frames import read_frame
from dynalab.live.spec import read_parts


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

"""What happens in the sandbox, sent to readers that may be slow: each has a bounded queue, and nobody waits for it."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from enum import Enum
from threading import Condition, Lock

MAX_WAITING = 1_000
"""How many events may wait for a reader. One that leaves more unread gets no further event, and ends."""

_MAX_WAITING_BYTES = 8 << 20


class EventKind(Enum):
    """What an event is about; its value is the name in the stream."""

    RECEIPT = "receipt"
    REQUEST = "request"
    FAULTS = "faults"
    SERVER = "server"
    PHONE = "phone"


@dataclass(frozen=True)
class Event:
    """Something that happened.

    Attributes:
        kind: what it is about.
        data: a line of JSON, as the control calls show it.
    """

    kind: EventKind
    data: str


class Reader:
    """One reader of the events, from ``Events.subscribe`` until ``close``.

    Attributes:
        is_open: whether further events come; False after ``close``, at the end of the sandbox, and once too many wait.
        is_late: it ended because too many events waited.
    """

    def __init__(self, events: Events) -> None:
        self.is_open = True
        self.is_late = False
        self._events = events
        self._waiting: deque[Event] = deque()
        self._bytes = 0
        self._changed = Condition()

    def next(self, timeout_s: float) -> Event | None:
        """Return the next event; ``None`` if none comes within ``timeout_s`` or the reader has ended."""
        with self._changed:
            self._changed.wait_for(lambda: self._waiting or not self.is_open, timeout_s)
            if not self._waiting:
                return None
            event = self._waiting.popleft()
            self._bytes -= len(event.data)
            return event

    def put(self, event: Event) -> None:
        """Hand over an event; too many of them end the reader."""
        with self._changed:
            self._waiting.append(event)
            self._bytes += len(event.data)
            if len(self._waiting) > MAX_WAITING or self._bytes > _MAX_WAITING_BYTES:
                self.is_late, self.is_open = True, False
                self._waiting.clear()
            self._changed.notify_all()

    def close(self) -> None:
        """End it; what waits is forgotten."""
        self._events.forget(self)
        with self._changed:
            self.is_open = False
            self._waiting.clear()
            self._changed.notify_all()


class Events:
    """The readers of what happens."""

    def __init__(self) -> None:
        self._readers: tuple[Reader, ...] = ()
        self._lock = Lock()

    @property
    def is_read(self) -> bool:
        """Whether anybody reads."""
        return bool(self._readers)

    def subscribe(self) -> Reader:
        """Return a new reader of all events from here on."""
        reader = Reader(self)
        with self._lock:
            self._readers = (*self._readers, reader)
        return reader

    def publish(self, event: Event) -> None:
        """Hand an event to every reader, and forget the readers that have ended."""
        with self._lock:
            for reader in self._readers:
                reader.put(event)
            self._readers = tuple(reader for reader in self._readers if reader.is_open)

    def forget(self, reader: Reader) -> None:
        """Hand nothing more to a reader."""
        with self._lock:
            self._readers = tuple(each for each in self._readers if each is not reader)

    def close(self) -> None:
        """End every reader."""
        for reader in self._readers:
            reader.close()

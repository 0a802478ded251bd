"""A host as a real process in a group of its own: it answers in bounded time, or it is killed."""

from __future__ import annotations

import json
import os
import selectors
import signal
import socket
import subprocess
import time
from collections import deque
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from hookspecs.structure import StructureError, structure, unstructure
from payme_plugin.testing.conformance.protocol import CLOCK, SOCKET, Printed

if TYPE_CHECKING:
    import threading
    from collections.abc import Mapping, Sequence

    from payme_plugin.testing.conformance.decider import HookDecider

_Answer = TypeVar("_Answer")

_MAX_LINE_BYTES = 1 << 20
_SHOWN_CHARACTERS = 200
_SHOWN_LINES = 5
_MAX_ERROR_BYTES = 65_536
_MAX_HOOK_BYTES = 16 << 20
_ENTRY_POINT = "payme_plugin.testing.conformance.probe:plugin"


class HostFailed(Exception):
    """The host can't be played with: it does not start, ended, does not answer, or answers something else.

    Attributes:
        text: what it did.
        errors: the last lines that it wrote to stderr.
    """

    def __init__(self, text: str, errors: str = "") -> None:
        super().__init__(f"{text}\n{errors}" if errors else text)
        self.text = text
        self.errors = errors


class ProtocolFailed(HostFailed):
    """The host's adapter gives an answer that the protocol does not have, so nothing can be played with it."""


class Stopped(Exception):
    """The run has ended, e.g. by Ctrl+C, while this host was played with."""


class Killed(Exception):
    """The kit has killed the host, as it wanted to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A hook as the probe saw it.

    Attributes:
        hook: its name.
        moment: ``entry``, ``exit`` or ``raised``.
        thread: the thread that called it.
        arguments: its arguments as documents, without ``ui``; the host's name and data folder in place of ``host``.
        result: its result as a document.
    """

    hook: str
    moment: str
    thread: int
    arguments: tuple[Any, ...]
    result: Any


@dataclass(slots=True)
class _Speaker:
    """A process that has loaded the probe: the host, or one that it has started.

    Attributes:
        received: the part of a line that has arrived.
        asked: the hook at which the kit has asked about payments, and their ids.
    """

    received: bytes = b""
    asked: tuple[Call, list[str]] | None = None


class HostProcess:
    """A host's process.

    Args:
        command: the host's command.
        scratch: an empty folder for the probe and what the host writes to stderr.
        hooks: decides at each hook.
        answer_timeout_s: how long the host may take for one answer.
        stopped: is set when the run ends before its plays do.
        clock_s: by how much its wall clock is wrong.

    Raises:
        HostFailed: it can't be started.
    """

    def __init__(
        self,
        command: Sequence[str],
        scratch: Path,
        hooks: HookDecider,
        *,
        answer_timeout_s: float,
        stopped: threading.Event,
        clock_s: float = 0.0,
    ) -> None:
        self._hooks = hooks
        self._timeout_s = answer_timeout_s
        self._stopped = stopped
        self._answers: deque[str] = deque()
        self._out = b""
        self._speakers: dict[socket.socket, _Speaker] = {}
        self._errors = scratch / "stderr"
        self._is_over = False
        self._selector = selectors.DefaultSelector()
        _write_distribution(scratch / "path")
        self._address = address = scratch / "socket"
        address.unlink(missing_ok=True)
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(address))
        self._listener.listen()
        path = os.pathsep.join(filter(None, [str(scratch / "path"), os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, "PYTHONPATH": path, SOCKET: str(address), CLOCK: str(clock_s)}
        try:
            with self._errors.open("ab") as errors:
                self._process = subprocess.Popen(  # noqa: S603 - the command that the integrator gave
                    list(command),
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                    stderr=errors,
                    env=environment,
                    start_new_session=True,
                )
        except OSError as error:
            self._listener.close()
            raise HostFailed(f"{command[0]!r} can't be started: {error.strerror or error}") from error
        if self._process.stdin is None or self._process.stdout is None:
            raise AssertionError
        self._stdin, self._stdout = self._process.stdin, self._process.stdout
        os.set_blocking(self._stdout.fileno(), False)
        self._selector.register(self._stdout, selectors.EVENT_READ)
        self._selector.register(self._listener, selectors.EVENT_READ)

    def ask(self, command: object, kind: type[_Answer], *, kill_after_s: float | None = None) -> _Answer:
        """Send a command and return the host's answer; meanwhile its hooks are decided.

        Args:
            command: a document, or a dataclass of one.
            kind: what the answer must be.
            kill_after_s: kill the host after so long, if it has not answered before.

        Raises:
            HostFailed: it ended, does not answer in time, or answers something else.
            ProtocolFailed: it answers with JSON of another shape.
            Killed: the kit has killed it.
        """
        document = command if isinstance(command, dict) else unstructure(command)
        self._drain()
        if self._answers:
            self.kill()
            text = f"the host wrote {self._answers[0][:_SHOWN_CHARACTERS]!r} without being asked"
            raise HostFailed(f"{text}. Its stdout is for the protocol only.", self._last_errors())
        self._send(document)
        line = self._answer(str(document["do"]), kill_after_s)
        text = f"the host answered {line[:_SHOWN_CHARACTERS]!r} to {document['do']!r}"
        try:
            answer = json.loads(line)
        except (ValueError, RecursionError) as error:
            reason = "it is not JSON. Its stdout is for the protocol only."
            raise HostFailed(f"{text}: {reason}", self._last_errors()) from error
        try:
            return structure(kind, answer, "answer")
        except StructureError as error:
            raise ProtocolFailed(f'{text}: {error}. See docs/conformance.md, "The adapter".') from error

    def end(self) -> None:
        """Tell the host to stop, and wait until it has ended.

        Raises:
            HostFailed: it does not end in time.
            Killed: the kit has killed it.
        """
        self._send({"do": "stop"})
        until = time.monotonic() + self._timeout_s
        while self._process.poll() is None:
            if time.monotonic() > until:
                self.kill()
                raise HostFailed(f"the host did not end within {self._timeout_s:g} s of 'stop'", self._last_errors())
            self.serve(0.02)
        self.kill()

    @property
    def code(self) -> int | None:
        """The exit code; None while it runs."""
        return self._process.returncode

    def kill(self) -> None:
        """Kill the host once, with every process that it has started, and close what belongs to it."""
        if self._is_over:
            return
        self._is_over = True
        with suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        _kill_all_with(f"{SOCKET}={self._address}")
        self._process.wait()
        self._drain()
        for pipe in (self._stdin, self._stdout):
            with suppress(OSError):
                pipe.close()
        for each in (self._listener, *self._speakers):
            each.close()
        self._selector.close()

    def _send(self, document: object) -> None:
        with suppress(OSError):  # it has ended, which reading its answer shows
            self._stdin.write(json.dumps(document).encode() + b"\n")
            self._stdin.flush()

    def _answer(self, asked: str, kill_after_s: float | None) -> str:
        began = time.monotonic()
        while not self._answers:
            elapsed = time.monotonic() - began
            if kill_after_s is not None and elapsed >= kill_after_s:
                self.kill()
                raise Killed
            if elapsed > self._timeout_s:
                self.kill()
                raise HostFailed(f"the host did not answer {asked!r} within {self._timeout_s:g} s", self._last_errors())
            left = self._timeout_s - elapsed if kill_after_s is None else kill_after_s - elapsed
            self.serve(min(left, 0.2))
            if not self._answers and self._process.poll() is not None and not self._drain():
                code = self._process.returncode
                self.kill()
                raise HostFailed(f"the host ended with {code} instead of answering {asked!r}", self._last_errors())
        return self._answers.popleft()

    def serve(self, timeout_s: float) -> None:
        """Handle what has arrived: what was printed before a hook is read before that hook.

        Raises:
            HostFailed: the host writes to the kit's socket itself.
            Killed: the kit has killed it.
            Stopped: the run has ended.
        """
        if self._stopped.is_set():
            raise Stopped
        ready = [key.fileobj for key, _ in self._selector.select(max(0.0, timeout_s))]
        self._drain()
        if self._listener in ready:
            connection, _ = self._listener.accept()
            self._speakers[connection] = _Speaker()
            self._selector.register(connection, selectors.EVENT_READ)
        for connection, speaker in list(self._speakers.items()):
            if connection in ready:
                self._receive(connection, speaker)

    def _receive(self, connection: socket.socket, speaker: _Speaker) -> None:
        try:
            data = connection.recv(_MAX_LINE_BYTES)
        except OSError:
            data = b""
        speaker.received += data
        if not data or len(speaker.received) > _MAX_HOOK_BYTES:
            self._selector.unregister(connection)
            self._speakers.pop(connection)
            connection.close()
            return
        while b"\n" in speaker.received:
            line, _, speaker.received = speaker.received.partition(b"\n")
            self._drain()
            try:
                decision = self._decision(line, speaker)
                connection.sendall(json.dumps(decision).encode() + b"\n")
            except Killed:
                self.kill()
                raise
            except OSError:
                return

    def _decision(self, line: bytes, speaker: _Speaker) -> Mapping[str, object]:
        try:
            document = json.loads(line)
            if speaker.asked is not None and "answers" in document:
                call, ids = speaker.asked
                speaker.asked, recorded = None, dict(zip(ids, document["answers"], strict=True))
            else:
                call, recorded = Call(**{**document, "arguments": tuple(document["arguments"])}), None
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            text = f"something else than the probe wrote {line[:_SHOWN_CHARACTERS]!r} to the kit's socket"
            raise HostFailed(text) from error
        decision = self._hooks.decide(call, recorded)
        if "ask" in decision:
            speaker.asked = (call, [str(each) for each in decision["ask"]])  # type: ignore[attr-defined]
        return decision

    def _drain(self) -> bool:
        """Read what the host has written to stdout, and return whether there was anything."""
        data = b""
        with suppress(OSError, ValueError, KeyError):
            data = os.read(self._stdout.fileno(), _MAX_LINE_BYTES)  # more than a pipe holds, and never endless
            if not data:
                self._selector.unregister(self._stdout)
        self._out += data
        if len(self._out) > _MAX_LINE_BYTES:
            self._out = self._out[:_SHOWN_CHARACTERS] + b"\n"
        while b"\n" in self._out:
            line, _, self._out = self._out.partition(b"\n")
            self._take(line.decode("utf-8", "replace"))
        return bool(data)

    def _take(self, line: str) -> None:
        try:
            document = json.loads(line)
        except (ValueError, RecursionError):
            document = None
        if isinstance(document, dict) and "printed" in document:
            try:
                self._hooks.watch.printed(structure(Printed, document, "printed").printed)
            except StructureError:
                pass
            else:
                return
        self._answers.append(line)

    def _last_errors(self) -> str:
        with self._errors.open("rb") as file:
            file.seek(max(0, self._errors.stat().st_size - _MAX_ERROR_BYTES))
            lines = file.read().decode("utf-8", "replace").splitlines()
        return "\n".join(line[:_SHOWN_CHARACTERS] for line in lines[-_SHOWN_LINES:])


def _kill_all_with(variable: str) -> None:
    """Kill every process with this in its environment: those of the host that have left its process group.

    Only where the system shows environments in ``/proc``, e.g. on Linux.
    """
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if variable.encode() in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)


def _write_distribution(folder: Path) -> None:
    """Write a distribution of the plugin's name whose entry point is the probe: the first on ``sys.path`` is used."""
    try:
        real = distribution("payme-plugin")
    except PackageNotFoundError as error:
        raise HostFailed("the distribution payme-plugin is not installed beside the kit") from error
    info = folder / f"payme_plugin-{real.version}.dist-info"
    if not info.is_dir():
        info.mkdir(parents=True)
        (info / "METADATA").write_text(real.read_text("METADATA") or "", encoding="utf-8")
        (info / "entry_points.txt").write_text(f"[pos]\npayme = {_ENTRY_POINT}\n", encoding="utf-8")

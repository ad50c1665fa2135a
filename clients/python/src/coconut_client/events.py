"""Server-sent events out of bytes. Knows their form, not what they mean."""

from collections.abc import Iterator


class EventReader:
    """Takes bytes as they arrive and gives events that are whole."""

    def __init__(self) -> None:
        self._rest = b""
        self._name = "message"
        self._data: list[bytes] = []

    def read(self, chunk: bytes) -> Iterator[tuple[str, bytes]]:
        """Name and data of each event that this chunk completes.

        Lines are cut at line feeds alone: a text may well hold what Python's `splitlines` takes for the end of a line.
        """
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            event = self._line(line.removesuffix(b"\r"))
            if event is not None:
                yield event

    def _line(self, line: bytes) -> tuple[str, bytes] | None:
        if not line:
            name, data = self._name, self._data
            self._name, self._data = "message", []
            return (name, b"\n".join(data)) if data else None
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        match field:
            case b"event":
                self._name = value.decode(errors="replace")
            case b"data":
                self._data.append(value)
        return None

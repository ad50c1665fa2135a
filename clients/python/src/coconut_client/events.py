"""Server-sent events out of bytes. Knows their form, not what they mean."""

from collections.abc import Iterator


class EventReader:
    """Takes bytes as they arrive and gives events that are whole."""

    def __init__(self) -> None:
        self._rest = b""
        self._name = "message"
        self._data: list[str] = []

    def read(self, chunk: bytes) -> Iterator[tuple[str, str]]:
        """Name and data of each event that this chunk completes.

        Lines are cut at line feeds alone: a text may well hold what Python's `splitlines` takes for the end of a line.
        """
        *lines, self._rest = (self._rest + chunk).split(b"\n")
        for line in lines:
            event = self._line(line.removesuffix(b"\r").decode())
            if event is not None:
                yield event

    def _line(self, line: str) -> tuple[str, str] | None:
        if not line:
            name, data = self._name, self._data
            self._name, self._data = "message", []
            return (name, "\n".join(data)) if data else None
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        match field:
            case "event":
                self._name = value
            case "data":
                self._data.append(value)
        return None

"""Why there is no answer, by what the caller can do about it. Knows the body of errors, nothing of connections."""

from dataclasses import dataclass


class CoconutError(Exception):
    """Of all errors of this package."""


class ConnectionFailed(CoconutError):
    """No connection, or none that lasted until the answer began."""


class StreamCut(CoconutError):
    """A stream ended before its last event: what came is no whole answer."""


class UnreadableAnswer(CoconutError):
    """What came is not what the server's document promises."""


@dataclass(frozen=True, slots=True)
class ErrorDetail:
    """What went wrong and what the caller can change, as the server says it."""

    message: str
    type: str
    code: str
    param: str | None = None


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """What the server sends where it sends no answer."""

    error: ErrorDetail


class ApiError(CoconutError):
    """The server said why it gives no answer."""

    def __init__(
        self,
        detail: ErrorDetail,
        status: int | None = None,
        retry_after: float | None = None,
        request_id: str | None = None,
    ) -> None:
        super().__init__(detail, status, retry_after, request_id)
        self.message = detail.message
        self.type = detail.type
        #: For programs; does not change.
        self.code = detail.code
        #: The field of the request that is to blame.
        self.param = detail.param
        #: Of the answer; none where the error came within a stream.
        self.status = status
        #: Seconds after which to ask again, where the server knows.
        self.retry_after = retry_after
        #: As it stands in the server's log.
        self.request_id = request_id

    def __str__(self) -> str:
        """What went wrong, with the name that the request has in the server's log."""
        return f"{self.message} (request {self.request_id})" if self.request_id else self.message


class InvalidRequest(ApiError):
    """The request is wrong: `param` says where. Asking again does not help."""


class AuthenticationFailed(ApiError):
    """A key is missing or wrong."""


class Overloaded(ApiError):
    """The queue is full; `retry_after` says when to come back."""


class Unavailable(ApiError):
    """The server is loading, stopping or broken; `retry_after` says when to come back."""


class DeadlinePassed(ApiError):
    """The answer took longer than the server's limit, or than `deadline`."""


class ServerFailed(ApiError):
    """The server failed at this request."""


BY_TYPE: dict[str, type[ApiError]] = {
    "invalid_request_error": InvalidRequest,
    "authentication_error": AuthenticationFailed,
    "overloaded_error": Overloaded,
    "unavailable_error": Unavailable,
    "timeout_error": DeadlinePassed,
    "server_error": ServerFailed,
}

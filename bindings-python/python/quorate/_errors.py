"""What went wrong, by family and by code?"""

from __future__ import annotations


_MOST = 3000
"""The longest message, in characters."""


class QuorateError(Exception):
    """Any error of quorate; by itself, a defect of the library (code ``internal``).

    >>> error = InvalidInput("empty_input", "there is nothing to compute on")
    >>> error.code, error.message, isinstance(error, QuorateError)
    ('empty_input', 'there is nothing to compute on', True)
    >>> str(error)
    'there is nothing to compute on [empty_input]'
    """

    code: str
    """The stable name of the error, the same in Rust, Python and Node; ``quorate.ERROR_CODES`` lists them."""
    message: str
    """What was given, what was expected, and what to do."""

    def __init__(self, code: str, message: str) -> None:
        # As errors of the native half: no message is as long as what was given.
        if len(message) > _MOST:
            message = f"{message[: _MOST - 805]} ... {message[-800:]}"
        super().__init__(code, message)
        self.code = code
        self.message = message

    def __str__(self) -> str:
        return f"{self.message} [{self.code}]"


class InvalidInput(QuorateError, ValueError):
    """The caller gave something that cannot be used. It is a ``ValueError`` too."""


class NotFound(QuorateError):
    """What the caller named does not exist."""


class Conflict(QuorateError):
    """What the caller asked for contradicts what is there."""


class Locked(QuorateError):
    """Another process holds the writer's lock."""


class Corrupt(QuorateError):
    """Stored bytes are not what was written."""


class Unavailable(QuorateError):
    """A resource (network, disk, model) cannot be reached or used at present."""


class Cancelled(QuorateError):
    """The caller cancelled the work."""


class Unsupported(QuorateError):
    """The operation has no meaning for this object, or was not compiled in."""

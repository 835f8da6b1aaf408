"""In which form does a model answer?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ._errors import InvalidInput, QuorateError
from ._kinds import Kinds
from ._plain import Kind, Misfit
from ._quorate import error


class Form:
    """The form of an answer: its JSON Schema, and how a value of it is read."""

    def __init__(self, schema: dict[str, Any], kind: Kind | None = None) -> None:
        self.schema = schema
        self._kind = kind
        self.check = self.read if kind is not None else None
        """What refuses values that fit the schema; None where nothing does."""
        self.cause: tuple[str, BaseException] | None = None
        """What the type raised last, and the message that it was told with."""

    def read(self, value: Any) -> Any:
        """The value as its type. Code: ``output_invalid`` with the path where the type refuses it."""
        if self._kind is None:
            return value
        try:
            return self._kind.read(value, "", False)
        except QuorateError as raised:
            if raised.__cause__ is not None:
                self.cause = (raised.message, raised.__cause__)
            raise
        except Exception as raised:
            at, said = (raised.at, raised.said) if isinstance(raised, Misfit) else ("", f"{type(raised).__name__}: {raised}")
            message = f"the output does not fit its type: at '{at or '/'}': {said}"
            if raised.__cause__ is not None:
                self.cause = (message, raised.__cause__)
            raise error("output_invalid", message) from (raised.__cause__ or raised)


def form(output: Any) -> Form:
    """The form that a type or a JSON Schema describes. Code: ``invalid_argument``."""
    if isinstance(output, Mapping):
        return Form(dict(output))
    try:
        kind = Kinds().root(output)
    except InvalidInput as refused:
        raise InvalidInput(refused.code, f"output: {refused.message}") from refused.__cause__
    return Form(kind.schema, kind)


def check_of(wanted: Form | None) -> Any:
    """What refuses values that fit the schema of a form; None where nothing does."""
    return None if wanted is None else wanted.check

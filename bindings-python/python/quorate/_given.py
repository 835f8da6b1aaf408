"""Is what was given a text, a number, a path? Where it is not, the message names the argument."""

from __future__ import annotations

import operator
import os
from typing import Any

from ._errors import InvalidInput


def text(value: Any, what: str) -> str:
    """A string. Codes: ``invalid_argument``; ``invalid_text`` for lone surrogates."""
    if not isinstance(value, str):
        raise InvalidInput("invalid_argument", f"{what} is of type {type(value).__name__}; a string is expected")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError:
            raise InvalidInput("invalid_text", f"{what} is not valid Unicode (it holds a lone surrogate)") from None
    return value


def text_or_none(value: Any, what: str) -> str | None:
    """A string, or None. Code: ``invalid_argument``."""
    return None if value is None else text(value, what)


def whole(value: Any, what: str) -> int:
    """A whole number from 0. Code: ``invalid_argument``."""
    try:
        number = operator.index(value)
    except TypeError:
        number = -1
    if number < 0 or isinstance(value, bool):
        # What is no plain value may be too deep to be shown, or fail at it.
        plain = type(value) in (bool, int, float, str)
        shown = f"{value!r:.60}" if plain else f"of type {type(value).__name__}"
        raise InvalidInput("invalid_argument", f"{what} is {shown}; a whole number from 0 is expected")
    return number


def path_or_none(value: Any, what: str) -> Any:
    """A path, or None. Code: ``invalid_argument``."""
    if value is not None and not isinstance(value, (str, os.PathLike)):
        raise InvalidInput("invalid_argument", f"{what} is of type {type(value).__name__}; a path is expected")
    return value

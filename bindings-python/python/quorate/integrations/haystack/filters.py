"""What does a filter of Haystack select?"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from haystack.errors import FilterError

from ..._errors import InvalidInput
from .. import _where

Filters = dict[str, Any]

_T = TypeVar("_T")
_ORDERS = {">": "<=", ">=": "<", "<": ">=", "<=": ">"}


def filtering(work: Callable[[], _T]) -> _T:
    """Does the work; what is wrong with its filter becomes a ``FilterError``."""
    try:
        return work()
    except InvalidInput as error:
        if error.code.startswith("filter"):
            raise FilterError(str(error)) from error
        raise


def where(filters: Filters | None) -> str | None:
    """A filter of Haystack as one of quorate; None for none. Raises ``FilterError``."""
    return test(filters).yes if filters else None


def test(filters: Filters) -> _where.Test:
    """A filter of Haystack, a comparison or a combination of them, as a condition. Raises ``FilterError``."""
    if not isinstance(filters, dict):
        raise FilterError(f"a filter is of type {type(filters).__name__}; a dict is expected")
    if "field" in filters:
        return _comparison(filters)
    for key in ("operator", "conditions"):
        if key not in filters:
            raise FilterError(f"'{key}' is missing in {filters}")
    operator = filters["operator"]
    tests = [test(condition) for condition in filters["conditions"]]
    if operator == "AND":
        return _where.both(tests)
    if operator == "OR":
        return _where.either(tests)
    if operator == "NOT":
        return ~_where.both(tests)
    raise FilterError(f"unknown operator '{operator}'; AND, OR and NOT combine conditions")


def _comparison(condition: Filters) -> _where.Test:
    for key in ("operator", "value"):
        if key not in condition:
            raise FilterError(f"'{key}' is missing in {condition}")
    name, operator, value = condition["field"], condition["operator"], condition["value"]
    if name in ("content", "blob", "score", "embedding", "sparse_embedding"):
        raise FilterError(f"'{name}' cannot be filtered by; 'id' and fields of 'meta' can")
    field = _where.own("id") if name == "id" else _where.meta(name.removeprefix("meta."))
    try:
        if operator in ("==", "!="):
            equal = _where.one_of(field, [value])
            return equal if operator == "==" else ~equal
        if operator in ("in", "not in"):
            if not isinstance(value, list):
                raise FilterError(f"'{operator}' needs a list, {type(value).__name__} is given")
            member = _where.one_of(field, value)
            return member if operator == "in" else ~member
        if operator in _ORDERS:
            if value is None:
                return _where.NEVER
            if isinstance(value, str):
                _check_date(value)
            return _where.test(field, f"{operator} {_where.literal(value)}", f"{_ORDERS[operator]} {_where.literal(value)}")
    except InvalidInput as error:
        raise FilterError(str(error)) from error
    raise FilterError(f"unknown operator '{operator}'; known are == != > >= < <= in, not in")


def _check_date(value: str) -> None:
    try:
        datetime.fromisoformat(value.replace("Z", "+00:00"))
    except ValueError as error:
        raise FilterError(f"'{value}' is not a date in ISO form; other strings have no order") from error

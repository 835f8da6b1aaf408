"""Which texts are filters? For Schemathesis, which knows a format by its name alone."""

from __future__ import annotations

import schemathesis
from hypothesis import strategies as st

_field = st.from_regex(r"\A[a-z]{1,8}(\.[a-z]{1,5})?\Z").filter(
    lambda name: name.upper() not in {"AND", "OR", "NOT", "IN", "IS", "LIKE", "NULL", "TRUE", "FALSE", "BETWEEN", "CONTAINS"}
)
_text = st.from_regex(r"\A'([a-zA-Z0-9 ]|''){0,12}'\Z")
_number = st.integers(-(10**9), 10**9).map(str)
_value = st.one_of(_text, _number)
_test = st.one_of(
    st.tuples(_field, st.sampled_from(["=", "!=", "<", ">="]), _number).map(" ".join),
    st.tuples(_field, st.sampled_from([" = ", "="]), _text).map("".join),
    st.tuples(_field, st.sampled_from([" IN (", " NOT IN ("]), _text, st.just(")")).map("".join),
    st.tuples(_field, st.just(" BETWEEN "), st.just("1 AND 9")).map("".join),
    st.tuples(_field, st.sampled_from([" IS NULL", " IS NOT NULL"])).map("".join),
    st.tuples(_field, st.just(" CONTAINS "), _text).map("".join),
)
_filter = st.recursive(
    _test,
    lambda inner: st.one_of(
        st.tuples(st.just("NOT ("), inner, st.just(")")).map("".join),
        st.tuples(st.just("("), inner, st.sampled_from([") AND (", ") OR ("]), inner, st.just(")")).map("".join),
    ),
    max_leaves=4,
)

schemathesis.openapi.format("quorate-filter", _filter)

"""Do filters of frameworks, as text, mean what they say for every document?"""

from __future__ import annotations

import itertools

import pytest

import quorate
from quorate.integrations import _where

NASTY = ["", "'", "''", "`", '"', "%", "_", "\\", "a'b`c\"d%e_f\\g", "OR", "é 💊", "\n"]
ROWS = [{}, {"n": 1}, {"n": -2}, {"n": 2.5}, {"t": True}, {"t": False}, {"s": "x"}, {"id": "own"}, {"deep": {"er": 1}}]
ROWS += [{"s": nasty} for nasty in NASTY] + [{nasty: 7} for nasty in NASTY if nasty]


@pytest.fixture(scope="module")
def kb(tmp_path_factory):
    with quorate.open(tmp_path_factory.mktemp("where")) as kb:
        kb.add([{"id": str(i), "text": f"text {i}", "metadata": row} for i, row in enumerate(ROWS)])
        yield kb


def lookup(row, path):
    for name in [path] if path in row else path.split("."):
        row = row.get(name) if isinstance(row, dict) else None
    return row


def found(kb, text):
    return {int(hit.doc_id) for hit in kb.search("text", k=100, mode="dense", where=text)}


@pytest.mark.parametrize("value", [1, -2, 2.5, True, False, "x", *NASTY], ids=repr)
def test_a_test_and_its_opposite_decide_every_document(kb, value):
    field = {bool: "t", str: "s"}.get(type(value), "n")
    expected = {i for i, row in enumerate(ROWS) if lookup(row, field) == value}
    for test in (
        _where.one_of(_where.meta(field), [value]),
        _where.test(_where.meta(field), f"= {_where.literal(value)}", f"!= {_where.literal(value)}"),
    ):
        assert found(kb, test.yes) == expected
        assert found(kb, test.no) == found(kb, (~test).yes) == set(range(len(ROWS))) - expected


@pytest.mark.parametrize("name", [*[n for n in NASTY if n], "id", "deep.er"], ids=repr)
def test_names_of_fields(kb, name):
    expected = {i for i, row in enumerate(ROWS) if lookup(row, name) is not None}
    assert expected and found(kb, _where.missing(_where.meta(name)).no) == expected


@pytest.mark.parametrize("part", [n for n in NASTY if n], ids=repr)
def test_patterns_contain_what_they_show(kb, part):
    expected = {i for i, row in enumerate(ROWS) if part in str(row.get("s", ""))}
    assert found(kb, _where.test("s", f"LIKE {_where.pattern(part)}", "").yes) == expected


def test_combinations_follow_de_morgan(kb):
    one, two = _where.one_of("n", [1, None]), _where.one_of("t", [True])
    for a, b in itertools.product((one, ~one, two), repeat=2):
        both, either = _where.both([a, b]), _where.either([a, b])
        assert found(kb, both.yes) == found(kb, a.yes) & found(kb, b.yes)
        assert found(kb, either.yes) == found(kb, a.yes) | found(kb, b.yes)
        assert found(kb, both.no) == set(range(len(ROWS))) - found(kb, both.yes)
        assert found(kb, either.no) == set(range(len(ROWS))) - found(kb, either.yes)
    assert found(kb, _where.both([]).yes) == set(range(len(ROWS))) and found(kb, _where.either([]).yes) == set()


@pytest.mark.parametrize("value", [None, [1], float("nan"), object()])
def test_values_that_no_field_holds(value):
    with pytest.raises(quorate.InvalidInput) as caught:
        _where.literal(value)
    assert caught.value.code == "filter_type"

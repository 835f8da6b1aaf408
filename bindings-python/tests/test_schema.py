"""Has each type that people use for answers the schema that it should, and becomes a JSON value that type and no other?

What has no form is refused with a code before anything is asked, and what the message names helps.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import sys
import typing
import uuid
from collections import abc
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, Optional, TypedDict, TypeVar, Union

import pydantic
import pydantic.dataclasses
import pytest
import typing_extensions
from pydantic import BaseModel, Field

import quorate
from quorate._function import of_function
from quorate._schema import form

T = TypeVar("T")


class Color(enum.Enum):
    RED = 1
    BLUE = 2


class Way(str, enum.Enum):
    ORAL = "oral"
    IV = "iv"


class Pair(enum.Enum):
    A = (1, 2)


class Day(enum.Enum):
    FIRST = datetime.date(2020, 1, 1)


@dataclasses.dataclass
class Cat:
    kind: Literal["cat"]
    name: str


@dataclasses.dataclass
class Dog:
    kind: Literal["dog"]
    name: str

    def __post_init__(self):
        if self.name == "":
            raise ValueError("a dog has a name")


@dataclasses.dataclass
class Flat:
    x: float


@dataclasses.dataclass
class Deep:
    x: float
    y: float


@dataclasses.dataclass(frozen=True)
class Frozen:
    n: int


class TypedA(TypedDict):
    a: int


class TypedB(TypedDict):
    a: int
    b: int


class Marked(typing_extensions.TypedDict):
    mg: float
    note: typing_extensions.NotRequired[str]
    on: typing_extensions.NotRequired[Annotated[datetime.date, "the day"]]


class Loose(typing_extensions.TypedDict, total=False):
    mg: typing_extensions.Required[float]
    note: str


class Point(NamedTuple):
    x: int
    y: float = 0.5


class ModelA(BaseModel):
    a: int


class ModelB(BaseModel):
    a: int
    b: int


class TextOfA(BaseModel):
    a: str


class InA(BaseModel):
    inner: ModelA


class InB(BaseModel):
    inner: ModelB


class Node(BaseModel):
    name: str
    children: list[Node] = []


class Tagged1(BaseModel):
    kind: Literal["one"]
    x: int = 0


class Tagged2(BaseModel):
    kind: Literal["two"]
    x: int = 0


@pydantic.dataclasses.dataclass
class Checked:
    n: int = Field(ge=0)


@dataclasses.dataclass
class Holder:
    root: Node
    again: Node | None = None


@dataclasses.dataclass
class Own:
    """Its own words.

    More of them.
    """

    a: int
    b: dataclasses.InitVar[int] = 1
    kept: typing.ClassVar[int] = 3
    made: int = dataclasses.field(init=False, default=0)

    def __post_init__(self, b):
        self.made = self.a + b


@dataclasses.dataclass
class Box(Generic[T]):
    value: T
    more: list[T] = dataclasses.field(default_factory=list)
    other: Box[T] | None = None


@dataclasses.dataclass
class IntBox(Box[int]):
    pass


@dataclasses.dataclass
class Tree:
    name: str
    children: list[Tree] = dataclasses.field(default_factory=list)


@dataclasses.dataclass
class Leaf:
    value: int


@dataclasses.dataclass
class Sum:
    left: Leaf | Sum
    right: Leaf | Sum


@dataclasses.dataclass
class Bounded:
    n: Annotated[int, Field(ge=0, description="how many")]
    pet: Annotated[Union[Tagged1, Tagged2], Field(discriminator="kind")]


@dataclasses.dataclass
class Größe:
    n: int


@dataclasses.dataclass
class Sizes:
    first: Größe
    second: Größe


Patient = NewType("Patient", str)
PET = Cat | Dog


def scope():
    class Item(BaseModel):
        price: float

    class Parcel(BaseModel):
        item: Item

    return Parcel


Parcel = scope()


@dataclasses.dataclass
class Item:
    title: str


@dataclasses.dataclass
class Order:
    first: Item
    parcel: Parcel
    last: Item


def asked(of, said):
    """What comes of an answer, through the native half and its check of the schema."""
    return quorate.ScriptedModel([json.dumps(said)]).complete("q", output=of, repairs=0).output


UID = "12345678-1234-5678-1234-567812345678"


@pytest.mark.parametrize(
    ("of", "said", "expected"),
    [
        # Unions: the type whose form it is, and nothing is dropped.
        (PET, {"kind": "dog", "name": "Rex"}, Dog("dog", "Rex")),
        (list[PET], [{"kind": "dog", "name": "a"}, {"kind": "cat", "name": "b"}], [Dog("dog", "a"), Cat("cat", "b")]),
        (dict[str, Flat | Deep], {"p": {"x": 1, "y": 2}}, {"p": Deep(1.0, 2.0)}),
        (Optional[Deep], {"x": 1, "y": 2}, Deep(1.0, 2.0)),
        (Union[Literal["auto"], Color], 1, Color.RED),
        (Union[Literal["auto"], Color], "auto", "auto"),
        (Literal[1] | bool, True, True),
        (Literal["a"] | dict[str, int], {"k": 1}, {"k": 1}),
        (TypedA | TypedB, {"a": 1, "b": 2}, {"a": 1, "b": 2}),
        (ModelA | ModelB, {"a": 1, "b": 2}, ModelB(a=1, b=2)),
        (ModelA | TextOfA, {"a": "5"}, TextOfA(a="5")),
        (InA | InB, {"inner": {"a": 1, "b": 2}}, InB(inner=ModelB(a=1, b=2))),
        (ModelA | Deep, {"x": 1, "y": 2}, Deep(1.0, 2.0)),
        (set[int] | list[int], [1, 1], [1, 1]),
        (set[int] | list[int], [1, 2], {1, 2}),
        (tuple[int, str] | list[int], [1, 2, 3], [1, 2, 3]),
        (float | int, 5, 5),
        (int | float, 5.0, 5.0),
        (float | str, 5, 5.0),
        (list[float] | list[int], [1, 2], [1, 2]),
        (datetime.datetime | datetime.date, "2024-02-01", datetime.date(2024, 2, 1)),
        (datetime.date | datetime.datetime, "2024-02-01T10:00:00Z", datetime.datetime(2024, 2, 1, 10, tzinfo=datetime.timezone.utc)),
        (datetime.date | str, "2024-02-30", "2024-02-30"),
        (decimal.Decimal | str, "NaN", "NaN"),
        (Sum, {"left": {"value": 1}, "right": {"left": {"value": 2}, "right": {"value": 3}}}, Sum(Leaf(1), Sum(Leaf(2), Leaf(3)))),
        # Members of classes.
        (Own, {"a": 1, "b": 4}, Own(1, 4)),
        (Own, {"a": 1}, Own(1)),
        (Point, {"x": 1}, Point(1)),
        (Marked, {"mg": 5, "on": "2024-02-01"}, {"mg": 5.0, "on": datetime.date(2024, 2, 1)}),
        (Loose, {"mg": 5}, {"mg": 5.0}),
        (Box[int], {"value": 1, "more": [2], "other": {"value": 3}}, Box(1, [2], Box(3))),
        (Box[Box[str]], {"value": {"value": "a"}}, Box(Box("a"))),
        (Tree, {"name": "a", "children": [{"name": "b"}]}, Tree("a", [Tree("b")])),
        (Holder, {"root": {"name": "a", "children": [{"name": "b"}]}}, Holder(Node(name="a", children=[Node(name="b")]))),
        (Node, {"name": "a", "children": [{"name": "b"}]}, Node(name="a", children=[Node(name="b")])),
        (list[Node], [{"name": "a"}], [Node(name="a")]),
        (Order, {"first": {"title": "t"}, "parcel": {"item": {"price": 1}}, "last": {"title": "u"}}, Order(Item("t"), Parcel(item={"price": 1}), Item("u"))),
        (Sizes, {"first": {"n": 1}, "second": {"n": 2}}, Sizes(Größe(1), Größe(2))),
        (Bounded, {"n": 1, "pet": {"kind": "two"}}, Bounded(1, Tagged2(kind="two"))),
        (Checked, {"n": 1}, Checked(1)),
        (dict[str, Checked], {"a": {"n": 1}}, {"a": Checked(1)}),
        # Plain values.
        (int, 5.0, 5),
        (Color, 1.0, Color.RED),
        (Literal[Color.RED], 1, Color.RED),
        (Literal[Way.IV, None], "iv", Way.IV),
        (decimal.Decimal, "0.10", decimal.Decimal("0.10")),
        (uuid.UUID, UID, uuid.UUID(UID)),
        (datetime.datetime, "2024-02-01t10:00:00.5z", datetime.datetime(2024, 2, 1, 10, 0, 0, 500000, tzinfo=datetime.timezone.utc)),
        (datetime.time, "10:00:00", datetime.time(10)),
        (Patient, "p1", "p1"),
        (list[Patient], ["p1"], ["p1"]),
        (Annotated[Deep, "where"], {"x": 1, "y": 2}, Deep(1.0, 2.0)),
        # Containers.
        (typing.Dict, {"a": 1}, {"a": 1}),
        (typing.Mapping, {"a": 1}, {"a": 1}),
        (typing.List, [1], [1]),
        (typing.Tuple, [1], (1,)),
        (tuple, [1, "a"], (1, "a")),
        (tuple[()], [], ()),
        (tuple[int, ...], [1, 2], (1, 2)),
        (abc.Sequence[int], [1], [1]),
        (abc.Mapping[str, Color], {"a": 1}, {"a": Color.RED}),
        (dict[Way, int], {"iv": 1}, {Way.IV: 1}),
        (dict[Literal["a", "b"], int], {"a": 1}, {"a": 1}),
        (dict[datetime.date, int], {"2024-02-01": 1}, {datetime.date(2024, 2, 1): 1}),
        (dict[Patient, int], {"p": 1}, {"p": 1}),
        (set[Color], [1, 2], {Color.RED, Color.BLUE}),
        (frozenset[str], ["a"], frozenset("a")),
        (set[Frozen], [{"n": 1}], {Frozen(1)}),
        (set[tuple[int, str]], [[1, "a"]], {(1, "a")}),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_value_becomes_its_type(of, said, expected):
    found = asked(of, said)
    assert found == expected and type(found) is type(expected)
    if isinstance(found, (list, set)):
        assert [type(one) for one in found] == [type(one) for one in expected]


@pytest.mark.parametrize(
    ("of", "said", "told"),
    [
        (tuple[()], [1], "/"),
        (PET, {"kind": "dog", "name": ""}, "at '/': ValueError: a dog has a name"),
        (list[PET], [{"kind": "cat", "name": ""}, {"kind": "dog", "name": ""}], "at '/1': ValueError: a dog has a name"),
        (dict[str, Dog], {"a/b": {"kind": "dog", "name": ""}}, "at '/a~1b': ValueError"),
        (datetime.date | datetime.time, "2024-02-30", "day is out of range"),
        (int, 123456789012345678901234567890, "64 bits"),
        (datetime.datetime, "2024-02-01", "date-time"),
        (decimal.Decimal, "NaN", "/"),
        (Bounded, {"n": -1, "pet": {"kind": "two"}}, "/n"),
        (Bounded, {"n": 1, "pet": {"kind": "three"}}, "/pet"),
        (dict[Way, int], {"nose": 1}, "/"),
        (set[Frozen], [{"n": 1}, {"n": 1.0}], "equal"),
        (dict[datetime.time, int], {"10:00:00": 1, "10:00": 1}, "the same key"),
        (Loose, {"note": "n"}, "mg"),
        (Marked, {"note": "n"}, "mg"),
        (Cat, {"kind": "dog", "name": "a"}, "/kind"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_value_that_is_none_of_its_type_is_refused_with_the_path(of, said, told):
    with pytest.raises(quorate.QuorateError) as caught:
        asked(of, said)
    assert caught.value.code == "output_invalid" and told in caught.value.message


@dataclasses.dataclass
class Nowhere:
    x: dataclasses.Nope  # noqa: F821


@dataclasses.dataclass
class NoPython:
    x: "int int"  # noqa: F722, UP037


class Unready(BaseModel):
    x: Missing  # noqa: F821


class Calls(BaseModel):
    f: typing.Callable[[int], int]


@dataclasses.dataclass
class HoldsCalls:
    c: Calls


class Empty(enum.Enum):
    pass


@pytest.mark.parametrize(
    ("of", "told"),
    [
        (Nowhere, "Nope"),
        (NoPython, "hints of 'NoPython'"),
        (Unready, "pydantic makes no JSON Schema of Unready"),
        (Calls, "pydantic makes no JSON Schema of Calls"),
        (HoldsCalls, "pydantic makes no JSON Schema of Calls"),
        (Pair, "tuple"),
        (Day, "type date"),
        (Empty, "no values"),
        (Literal[b"a"], "bytes"),
        (Literal[Pair.A], "tuple"),
        (dict[int, str], "keys that are no strings"),
        (set[Deep], "no hash"),
        (set[list[int]], "no hash"),
        (set[TypedA], "no hash"),
        (frozenset[ModelA | int], "no hash"),
        (bytes, "give str"),
        (datetime.timedelta, "give float"),
        (complex, "tuple[float, float]"),
        (typing.Callable[[int], int], "has no JSON Schema"),
        (type[int], "has no JSON Schema"),
        (object(), "has no JSON Schema"),
        ("Deep", "give the type itself"),
        (list["Deep"], "give the type itself"),
        (T, "type variable"),
        (Box, "type variable"),
        (IntBox, "type variable"),
        (Annotated[typing.Callable[..., Any], ["unhashable"]], "has no JSON Schema"),
        (Literal[[1]], "JSON has texts"),  # type: ignore[valid-type]
        (5, "has no JSON Schema"),
    ],
    ids=lambda value: str(value)[:50],
)
def test_a_type_without_a_form_is_refused_before_anything_is_asked(of, told):
    calls = []
    with pytest.raises(quorate.InvalidInput) as caught:
        quorate.ScriptedModel(lambda request: calls.append(1) or "1").complete("q", output=of)
    assert caught.value.code == "invalid_argument" and told in caught.value.message and not calls


def test_functions_whose_hints_cannot_be_read_are_refused_with_a_code():
    def nowhere(x: dataclasses.Nope): ...  # noqa: F821

    def no_python(x: "int int"): ...  # noqa: F722, UP037

    def formless(x: typing.Callable[[int], int]): ...

    for function in (nowhere, no_python, formless, print):
        if function is print and sys.version_info >= (3, 11):
            continue
        with pytest.raises(quorate.InvalidInput) as caught:
            of_function(function)
        assert caught.value.code == "invalid_argument"


def test_schemas_say_what_the_types_say():
    assert form(Marked).schema["required"] == ["mg"] and form(Loose).schema["required"] == ["mg"]
    own = form(Own).schema
    assert (own["title"], own["description"], own["required"], list(own["properties"])) == ("Own", "Its own words.", ["a"], ["a", "b"])
    assert form(Point).schema["required"] == ["x"] and "description" not in form(Point).schema
    assert form(Literal["a", "b"]).schema == {"type": "string", "enum": ["a", "b"]}
    assert form(Literal[Color.RED, "a", None]).schema == {"type": ["integer", "string", "null"], "enum": [1, "a", None]}
    assert form(Annotated[int, "how many"]).schema == {"type": "integer", "description": "how many"}
    assert form(Annotated[int, typing_extensions.Doc("how many")]).schema["description"] == "how many"
    bounded = form(Bounded).schema["properties"]
    assert (bounded["n"]["minimum"], bounded["n"]["description"]) == (0, "how many")
    assert bounded["pet"]["discriminator"]["propertyName"] == "kind"
    # No reference at the root, and no definition that nobody refers to.
    for of in (Node, Tree, Deep, Box[int], Annotated[Node, "words"], Holder):
        schema = form(of).schema
        assert schema["type"] == "object" and "$ref" not in schema
        for name in schema.get("$defs", {}):
            assert f'"#/$defs/{name}"' in json.dumps(schema)
    assert "$defs" not in form(Deep).schema
    # Two types of one name.
    order = form(Order).schema
    names = [order["properties"]["first"]["$ref"], order["$defs"]["Parcel"]["properties"]["item"]["$ref"]]
    assert len(set(names)) == 2 and order["properties"]["last"]["$ref"] == names[0]
    # One type that two models of pydantic hold is written once.
    both = form(tuple[InA, InA, ModelA]).schema
    assert sorted(both["$defs"]) == ["InA", "ModelA"]


def test_the_discriminators_of_models_follow_a_renamed_definition():
    def scope():
        class Tagged1(BaseModel):
            kind: Literal["uno"]

        return Tagged1

    other = scope()
    pair = tuple[Annotated[Union[other, Tagged2], Field(discriminator="kind")], Annotated[Union[Tagged1, Tagged2], Field(discriminator="kind")]]
    schema = form(pair).schema
    for place, kind in zip(schema["prefixItems"], ("uno", "one"), strict=True):
        mapped = place["discriminator"]["mapping"][kind]
        assert schema["$defs"][mapped.removeprefix("#/$defs/")]["properties"]["kind"]["const"] == kind
    assert asked(pair, [{"kind": "uno"}, {"kind": "two"}]) == (other(kind="uno"), Tagged2(kind="two"))


def run(source):
    """The names of code that older versions do not know; hints are no texts in it."""
    made = {"__name__": "made"}
    exec(compile(source, "made", "exec", dont_inherit=True), made)
    return made


@pytest.mark.skipif(sys.version_info < (3, 11), reason="generic TypedDicts")
def test_generic_dicts_and_tuples():
    made = run(
        "from typing import Generic, NamedTuple, TypedDict, TypeVar\n"
        "T = TypeVar('T')\n"
        "class D(TypedDict, Generic[T]):\n    v: T\n"
        "class N(NamedTuple, Generic[T]):\n    v: T\n"
    )
    assert asked(made["D"][Color], {"v": 1}) == {"v": Color.RED}
    assert asked(made["N"][list[int]], {"v": [1]}) == made["N"]([1])


@pytest.mark.skipif(sys.version_info < (3, 12), reason="type statements")
def test_named_types_may_hold_themselves():
    made = run("type Nest = int | list[Nest]\ntype Plain = str")
    assert asked(made["Nest"], [1, [2, [3]]]) == [1, [2, [3]]]
    assert asked(list[made["Plain"]], ["a"]) == ["a"]


def test_causes_of_errors_are_kept_in_streams_too():
    model = quorate.ScriptedModel(lambda request: '{"kind": "dog", "name": ""}')
    last = list(model.stream("q", output=PET, repairs=0))[-1]
    assert last.error.code == "output_invalid" and isinstance(last.error.__cause__, ValueError)
    with pytest.raises(quorate.QuorateError) as caught:
        model.stream("q", output=PET, repairs=0).result()
    assert isinstance(caught.value.__cause__, ValueError)


def test_words_of_pydantic_beside_a_model_are_kept():
    @dataclasses.dataclass
    class Person:
        home: Annotated[ModelA, Field(description="where they live")]
        work: Annotated[ModelA, Field(description="where they work")]

    schema = form(Person).schema
    assert {name: one["description"] for name, one in schema["properties"].items()} == {"home": "where they live", "work": "where they work"}
    assert {one["$ref"] for one in schema["properties"].values()} == {"#/$defs/ModelA"} and list(schema["$defs"]) == ["ModelA"]


def test_models_of_pydantic_before_2_12_know_their_members_by_every_alias(monkeypatch):
    validate = pydantic.TypeAdapter.validate_json
    monkeypatch.setattr(pydantic.TypeAdapter, "validate_json", lambda self, json, *, strict=None: validate(self, json, strict=strict))

    class Few(BaseModel):
        x: int

    class Many(Few):
        y: int = Field(0, validation_alias=pydantic.AliasChoices("yy", pydantic.AliasPath("at", 0)))
        z: int = Field(0, validation_alias=pydantic.AliasPath("z0", 1))
        w: int = Field(0, alias="ww")

    found = form(Few | Many)
    assert found.read({"x": 1}) == Few(x=1)
    for said in ({"yy": 2}, {"at": [2]}, {"z0": [0, 2]}, {"ww": 2}):
        read = found.read({"x": 1, **said})
        assert type(read) is Many and read.y + read.z + read.w == 2


@dataclasses.dataclass
class Yes:
    inner: Yes | No | None
    size: float
    kind: Literal["yes"] = "yes"


@dataclasses.dataclass
class No:
    inner: Yes | No | None
    size: float
    kind: Literal["no"] = "no"


def test_deep_values_are_read_in_their_time():
    value: dict[str, Any] = {"value": 1}
    for _ in range(30):
        value = {"left": value, "right": {"value": 2.0}}
    found, depth = asked(Sum, value), 0
    while isinstance(found, Sum):
        found, depth = found.left, depth + 1
    assert depth == 30

    # Of each part both types have to be tried.
    said: dict[str, Any] | None = None
    for level in range(30):
        said = {"inner": said, "size": 1, "kind": "no" if level % 2 else "yes"}
    read = form(Yes).read({"inner": said, "size": 1, "kind": "yes"})
    for level in range(30):
        read = read.inner
        assert type(read) is (Yes if level % 2 else No) and read.size == 1.0
    assert read.inner is None

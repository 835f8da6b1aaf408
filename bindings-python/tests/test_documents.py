"""Do documents come in from everything that holds them, whole or not at all?"""

from __future__ import annotations

import datetime
import threading

import numpy as np
import pytest

import quorate


@pytest.fixture
def kb(tmp_path):
    with quorate.open(tmp_path / "kb", durability="process") as kb:
        yield kb


UTC = datetime.timezone.utc
TABLE = {
    "id": ["a", "b", "c"],
    "text": ["Metformin lowers glucose.", "Insulin is injected.", "The sky is blue."],
    "title": ["Label", None, "Sky"],
    "year": [2024, 2020, None],
    "when": [datetime.datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC), None, datetime.datetime(2020, 1, 1, tzinfo=UTC)],
    "score": [0.5, float("nan"), 1.0],
    "tags": [["x", "y"], None, ["z"]],
}


def check_table(kb):
    assert kb.ids() == ["a", "b", "c"]
    a, b = kb.get("a"), kb.get("b")
    assert (a.title, b.title) == ("Label", "")
    assert a.metadata == {"year": 2024, "when": a.metadata["when"], "score": 0.5, "tags": ["x", "y"]}
    assert a.metadata["when"].startswith("2024-01-02T03:04:05") and b.metadata == {"year": 2020}
    assert kb.count("when >= '2024-01-01T00:00:00Z'") == 1 and kb.count("tags CONTAINS 'z'") == 1
    assert kb.count("year = 2020") == 1


def test_pandas(kb):
    pandas = pytest.importorskip("pandas")
    assert kb.add(pandas.DataFrame(TABLE)).added == 3
    check_table(kb)


def test_pandas_of_other_kinds(kb):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(TABLE).drop(columns=["score"]).set_index("id")
    frame["year"] = frame["year"].astype("Int64")
    frame["kind"] = pandas.Categorical(["label", "label", "note"])
    frame["when"] = pandas.to_datetime(frame["when"]).dt.tz_localize(None)
    kb.add(frame)
    assert kb.get("a").metadata == {"year": 2024, "when": "2024-01-02T03:04:05Z", "tags": ["x", "y"], "kind": "label"}
    assert kb.get("c").metadata == {"when": "2020-01-01T00:00:00Z", "tags": ["z"], "kind": "note"}


def test_polars(kb):
    polars = pytest.importorskip("polars")
    frame = polars.DataFrame(TABLE, strict=False)
    kb.add(frame)
    check_table(kb)
    assert kb.upsert(frame.lazy()).unchanged == 3


def test_a_column_is_no_table(kb):
    polars = pytest.importorskip("polars")
    with pytest.raises(quorate.InvalidInput, match="Series, which is no table") as caught:
        kb.add(polars.Series(["text"]))
    assert caught.value.code == "invalid_document"


def test_arrow(kb):
    pyarrow = pytest.importorskip("pyarrow")
    table = pyarrow.table(TABLE)

    class Stream:
        def __arrow_c_stream__(self, requested_schema=None):
            return table.__arrow_c_stream__(requested_schema)

    class Array:
        def __arrow_c_array__(self, requested_schema=None):
            return table.to_batches()[0].__arrow_c_array__(requested_schema)

    kb.add(Stream())
    check_table(kb)
    assert kb.upsert(table).unchanged == 3
    assert kb.upsert(table.to_batches()[0]).unchanged == 3
    assert kb.upsert(Array()).unchanged == 3
    check_table(kb)


def test_tables_without_a_text_or_with_two_columns_of_one_name(kb):
    pandas = pytest.importorskip("pandas")
    polars = pytest.importorskip("polars")
    pyarrow = pytest.importorskip("pyarrow")
    columns = {"id": ["a"], "titel": ["x"], "inhalt": ["y"]}
    twice = pyarrow.Table.from_arrays([pyarrow.array(["a"]), pyarrow.array(["x"]), pyarrow.array(["y"])], ["id", "text", "text"])
    for frame, said in [
        (pandas.DataFrame(columns), "'id', 'titel', 'inhalt'"),
        (polars.DataFrame(columns), "'id', 'titel', 'inhalt'"),
        (pyarrow.table(columns), "'id', 'titel', 'inhalt'"),
        (pandas.DataFrame({"id": ["a"], "title": ["x"]}), "'id', 'title'"),
        (pandas.DataFrame({"id": [], "body": []}), "'id', 'body'"),
        (pandas.DataFrame([["a", "x", "y"]], columns=["id", "text", "text"]), "'text' appears twice"),
        (twice, "'text' appears twice"),
    ]:
        with pytest.raises(quorate.InvalidInput, match=said) as caught:
            kb.add(frame)
        assert caught.value.code == "invalid_document"
    assert kb.count() == 0


def test_a_table_with_metadata_and_vectors(kb):
    pandas = pytest.importorskip("pandas")
    vectors = kb.embedder.embed(["one", "two"])
    frame = pandas.DataFrame(
        {"id": ["a", "b"], "text": ["one", "two"], "metadata": [{"x": 1}, None], "vector": list(vectors), "y": [2, 3]}
    )
    kb.add(frame)
    assert (kb.get("a").metadata, kb.get("b").metadata) == ({"x": 1, "y": 2}, {"y": 3})
    assert kb.search_vector(vectors[1], k=1)[0].doc_id == "b"


def test_tables_without_what_is_needed(kb):
    pandas = pytest.importorskip("pandas")
    for frame in (
        pandas.DataFrame({"key": ["a"], "text": ["t"]}),
        pandas.DataFrame({"id": ["a"], "body": ["t"]}),
        pandas.DataFrame({"id": [1], "text": ["t"]}),
        pandas.DataFrame({"id": ["a"], "text": ["t"], "metadata": ["m"], "y": [1]}),
        pandas.DataFrame([["a", "t", 1, 2]], columns=["id", "text", "y", "y"]),
    ):
        with pytest.raises(quorate.InvalidInput) as caught:
            kb.add(frame)
        assert caught.value.code == "invalid_document"
    assert kb.count() == 0
    assert kb.add(pandas.DataFrame({"id": [], "text": []})).added == 0


def test_metadata_of_every_kind(kb):
    given = {
        "when": datetime.datetime(2024, 5, 6, 7, 8, 9),
        "zone": datetime.datetime(2024, 5, 6, tzinfo=datetime.timezone(datetime.timedelta(hours=2))),
        "day": datetime.date(2024, 5, 6),
        "int": np.int32(5),
        "float": np.float32(0.5),
        "bool": np.bool_(True),
        "text": np.str_("x"),
        "moment": np.datetime64("2024-05-06T07:08:09.5", "ns"),
        "array": np.array([1, 2]),
        "tuple": ("a", None),
        "nothing": None,
        "nested": {"list": [{"deep": 1}]},
        "big": 2**63 - 1,
    }
    kb.add([{"id": "a", "text": "t", "metadata": given}])
    assert kb.get("a").metadata == {
        "when": "2024-05-06T07:08:09Z", "zone": "2024-05-06T00:00:00+02:00", "day": "2024-05-06", "int": 5, "float": 0.5,
        "bool": True, "text": "x", "moment": "2024-05-06T07:08:09.500000Z", "array": [1, 2], "tuple": ["a", None],
        "nothing": None, "nested": {"list": [{"deep": 1}]}, "big": 2**63 - 1,
    }
    assert kb.count({"when": {"$gt": datetime.datetime(2024, 1, 1)}}) == 1
    assert kb.count({"int": np.int64(5)}) == 1
    assert kb.count({"day": datetime.date(2024, 5, 6)}) == 1


def test_mappings_and_generators(kb):
    from collections import OrderedDict, UserDict

    documents = (cls(id=id, text="t", metadata=UserDict(x=1)) for cls, id in ((UserDict, "a"), (OrderedDict, "b")))
    assert kb.add(documents).added == 2
    assert kb.get("a").metadata == {"x": 1}


def test_vectors(kb):
    dim = kb.embedder.dim
    rows = np.eye(dim, dtype=np.float32)[:2]
    kb.add([{"id": "a", "text": "one"}, {"id": "b", "text": "two"}], vectors=rows)
    assert np.array_equal(kb.search_vector(rows[1], k=1)[0].vector, rows[1])
    strided = np.eye(dim, dtype=np.float32)[:, ::-1][:1]
    assert not strided.flags.c_contiguous
    kb.add([{"id": "c", "text": "three"}], vectors=strided)
    assert np.array_equal(kb.get("c", chunks=True).chunks[0].vector, strided[0])
    kb.add([{"id": "d", "text": "four", "vector": [2.0] + [0.0] * (dim - 1)}])
    assert kb.get("d", chunks=True).chunks[0].vector[0] == 1.0
    wide = rows.astype(np.float64)
    frozen = wide[0]
    frozen.flags.writeable = False
    assert kb.search_vector(frozen, k=1)[0].score == pytest.approx(1.0)
    kb.upsert([{"id": "a", "text": "one"}], vectors=wide[:1].tolist())


def test_chunks_in_code_points(kb):
    text = "💊 one two 💊 three"
    kb.add([{"id": "a", "text": text, "chunks": [{"start": 0, "end": 9, "headings": ["H"]}, {"start": 10}]}])
    found = kb.search("three", k=2)
    assert {hit.text for hit in found} == {text[:9], text[10:]} and all(text[h.start : h.end] == h.text for h in found)
    assert kb.get("a", chunks=True).chunks[0].headings == ["H"]


@pytest.mark.parametrize(
    ("code", "documents", "vectors"),
    [
        ("invalid_shape", [{"id": "a", "text": "t"}], np.zeros((2, 4), np.float32)),
        ("invalid_shape", [{"id": "a", "text": "t"}], np.zeros((1, 4), np.float32)),
        ("invalid_shape", [{"id": "a", "text": "t"}], np.zeros(4, np.float32)),
        ("invalid_shape", [{"id": "a", "text": "t"}], np.zeros((1, 1, 4), np.float32)),
        ("invalid_argument", [{"id": "a", "text": "t"}], np.zeros((1, 4), complex)),
        ("invalid_argument", [{"id": "a", "text": "t"}], [["x"]]),
        ("invalid_shape", [{"id": "ok", "text": "t"}, {"id": "a", "text": "t", "vector": [1.0]}], None),
        ("invalid_argument", [{"id": "ok", "text": "t"}, {"id": "a", "text": "t", "vector": "x"}], None),
        ("not_finite", [{"id": "ok", "text": "t"}, {"id": "a", "text": "t", "vector": [float("nan")] * 256}], None),
        ("invalid_document", [{"id": "a", "text": "t", "vector": [1.0], "chunks": []}], None),
        ("invalid_document", [{"id": "a", "text": "t", "chunks": [{"start": 5}]}], None),
        ("invalid_document", [{"id": "a", "text": "t", "chunks": [{"begin": 0}]}], None),
        ("invalid_document", [{"id": "a", "text": "t", "chunks": [{"start": -1}]}], None),
        ("invalid_document", [{"id": "a", "text": "t", "metadata": {5: "x"}}], None),
        ("invalid_document", [{"id": "a", "text": "t", 5: "x"}], None),
        ("invalid_document", [{"id": "a", "text": "t", "metadata": {"x": {1, 2}}}], None),
        ("invalid_document", [{"id": "a", "text": "t", "metadata": {"x": 1j}}], None),
        ("invalid_document", [{"id": "a", "text": "t", "metadata": {"x": np.complex64(1)}}], None),
        ("invalid_document", [{"id": "a", "text": "t", "metadata": {"x": 2**64}}], None),
        ("invalid_document", [{"id": "a", "text": b"t"}], None),
        ("invalid_document", [{"id": "a", "text": None}], None),
        ("invalid_document", [{"id": None, "text": "t"}], None),
        ("invalid_document", [None], None),
        ("invalid_text", [{"id": "\ud800", "text": "t"}], None),
        ("invalid_text", [{"id": "a", "text": "t", "metadata": {"x": ["\udfff"]}}], None),
        ("invalid_text", [{"id": "a", "text": "t", "metadata": {"\ud800": 1}}], None),
        ("not_finite", [{"id": "a", "text": "t", "metadata": {"x": [float("inf")]}}], None),
        ("invalid_argument", {"id": "a", "text": "t"}, None),
        ("invalid_argument", 5, None),
        ("invalid_argument", None, None),
    ],
)
def test_nothing_of_a_bad_batch_is_stored(kb, code, documents, vectors):
    with pytest.raises(quorate.QuorateError) as caught:
        kb.add(documents, vectors=vectors)
    assert caught.value.code == code
    assert kb.count() == 0 and kb.versions() == kb.versions()[:1]


def test_a_list_in_itself_is_refused(kb):
    loop: list = []
    loop.append(loop)
    with pytest.raises(quorate.InvalidInput, match="nested more than"):
        kb.add([{"id": "a", "text": "t", "metadata": {"x": loop}}])


def test_a_generator_that_raises_leaves_nothing(kb):
    def documents():
        for n in range(300):
            yield {"id": str(n), "text": "t"}
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        kb.add(documents())
    assert kb.count() == 0


def test_skip_reports_what_it_left_out(kb):
    kb.add([{"id": "a", "text": "t"}])
    report = kb.add([{"id": "a", "text": "t"}, {"id": "b", "text": "t"}, {"id": "", "text": "t"}], on_error="skip")
    assert (report.added, len(report.skipped)) == (1, 2)
    assert [(s.index, s["id"], s.code) for s in report.skipped] == [(0, "a", "duplicate_id"), (2, "", "invalid_document")]
    assert "skipped" in report._repr_html_()
    with pytest.raises(quorate.InvalidInput):
        kb.add([], on_error="ignore")


def test_progress_is_told_on_the_calling_thread(kb):
    told = []
    kb.add([{"id": str(n), "text": "t"} for n in range(700)], progress=lambda *news: told.append((*news, threading.get_ident())))
    assert told[-1][:2] == (700, 700) and len(told) > 1
    assert [done for done, _, _ in told] == sorted({done for done, _, _ in told})
    assert {thread for _, _, thread in told} == {threading.get_ident()}


@pytest.mark.parametrize("when", [1, 700])
def test_a_progress_that_raises_leaves_nothing(kb, when):
    def told(done, total):
        if done >= when:
            raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine"):
        kb.add([{"id": str(n), "text": "t"} for n in range(700)], progress=told)
    assert kb.count() == 0
    assert kb.add([{"id": "a", "text": "t"}]).added == 1


def test_a_bar(kb, capsys):
    pytest.importorskip("tqdm")
    kb.add([{"id": str(n), "text": "t"} for n in range(300)], progress=True)
    assert "300/300" in capsys.readouterr().err
    with pytest.raises(quorate.InvalidInput):
        kb.add([{"id": "x", "text": "t"}], progress="yes")


def test_versions_and_the_past(kb):
    first = kb.add([{"id": "a", "text": "old"}])
    kb.upsert([{"id": "a", "text": "new"}])
    versions = kb.versions()
    assert versions == sorted(versions) and first.version in versions
    moment = versions[-1].timestamp
    assert moment.tzinfo is UTC and abs((datetime.datetime.now(UTC) - moment).total_seconds()) < 3600
    past = kb.at(versions[versions.index(first.version)])
    assert (past.get("a").text, kb.get("a").text) == ("old", "new")
    with pytest.raises(quorate.Conflict) as caught:
        past.add([{"id": "b", "text": "t"}])
    assert caught.value.code == "read_only"
    for bad, code in (("1", "invalid_argument"), (-1, "invalid_argument"), (10**6, "unknown_id")):
        with pytest.raises(quorate.QuorateError) as caught:
            kb.at(bad)
        assert caught.value.code == code


def test_options(tmp_path):
    with quorate.open(tmp_path / "a", language="german", chunking={"strategy": "fixed", "max_tokens": 8}, keep_versions=3) as kb:
        kb.add([{"id": "a", "text": "Die Häuser am Meer. " * 20}])
        assert kb.stats().language == "german" and kb.stats().chunks > 5
        assert len(kb) == 1 and "a" in kb and "b" not in kb and bool(kb)
        assert kb.search("haus", mode="lexical")
    with quorate.open(tmp_path / "b", chunking="sentence") as kb:
        assert repr(kb).startswith("KnowledgeBase(")
    for bad in ({"language": "klingon"}, {"chunking": "random"}, {"chunking": {"size": 5}}, {"durability": "high"},
                {"keep_versions": 0}, {"tenant": ""}, {"chunking": 5}):
        with pytest.raises(quorate.InvalidInput) as caught:
            quorate.open(tmp_path / "c", **bad)
        assert caught.value.code == "invalid_argument"


def test_embedders(tmp_path):
    model = quorate.Embedder("builtin", dimensions=64)
    with quorate.open(tmp_path / "a", embedder=model) as kb:
        kb.add([{"id": "a", "text": "t"}])
        assert kb.embedder is model and kb.stats().dim == 64
    with pytest.raises(quorate.Conflict) as caught:
        quorate.open(tmp_path / "a", embedder="builtin")
    assert caught.value.code == "embedder_mismatch"
    with quorate.open(tmp_path / "b") as kb:
        assert isinstance(kb.embedder, quorate.Embedder) and kb.embedder.id == quorate.Embedder("builtin").id
    with pytest.raises(quorate.NotFound):
        quorate.open(tmp_path / "none", read_only=True)


def test_what_is_no_document_is_skipped_like_what_cannot_be_stored(tmp_path):
    given = [
        {"id": "a", "text": "fine"},
        {"id": "b", "text": 5},
        "nothing of the kind",
        {"id": "a", "text": "twice"},
        {"id": "c", "text": "also fine", "metadata": {"x": {1, 2}}},
        {"text": "without an id"},
        {"id": "d", "text": "\ud800"},
        {"id": "e", "text": "fine too"},
        {"id": "f", "text": "fine", "colour": "red"},
    ]
    with quorate.open(tmp_path / "kb") as kb:
        for write in (kb.add, kb.upsert):
            with pytest.raises(quorate.InvalidInput):
                write(given)
            assert kb.count() == 0
        report = kb.add(given, on_error="skip")
        assert (report.added, sorted(kb.ids())) == (2, ["a", "e"])
        assert [one.index for one in report.skipped] == [1, 2, 3, 4, 5, 6, 8]
        assert [one.id for one in report.skipped] == ["b", "", "a", "c", "", "d", "f"]
        assert "documents[1]['text']" in report.skipped[0].message
        assert report.skipped[2].code == "duplicate_id"
        vectors = np.eye(len(given), kb.stats()["dim"], dtype=np.float32)
        report = kb.upsert(given, vectors=vectors, on_error="skip")
        assert (report.replaced, len(report.skipped)) == (2, 7)
        assert kb.search_vector(vectors[7], k=1)[0].doc_id == "e"


class Interrupted:
    """Something that Ctrl-C meets while it is asked what it is."""

    @property
    def __class__(self):
        raise KeyboardInterrupt


def test_ctrl_c_is_not_lost_in_a_question_about_types(kb):
    for documents in ([Interrupted()], [{"id": "a", "text": "x", "metadata": {"of": Interrupted()}}], Interrupted()):
        for on_error in ("stop", "skip"):
            with pytest.raises(KeyboardInterrupt):
                kb.add(documents, on_error=on_error)
    assert kb.count() == 0

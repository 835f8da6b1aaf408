"""Has every result to_dict and to_json, and is what is a table one?"""

from __future__ import annotations

import copy
import inspect
import json
import pickle
import typing

import pytest

import quorate
from quorate import consensus

AGENT = {"id": "kidney", "name": "Nephrologist", "summary": "Treats diseases of the kidney."}


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """Something of everything that calls give, by its class."""
    place = tmp_path_factory.mktemp("results")
    with quorate.open(place / "kb", durability="process") as kb, quorate.AgentRegistry(catalog=None) as registry:
        documents = [{"id": f"d{i}", "text": "Metformin lowers glucose.", "metadata": {"year": 2020 + i % 2}} for i in range(3)]
        report = kb.add(documents)
        kb.update_metadata("d0", {"year": "unknown"})
        registry.add(AGENT)
        file = place / "file.txt"
        file.write_text("Insulin lowers glucose too.")
        run, qrels = {"q": {"d": 1.0}}, {"q": {"d": 1}}
        found = [
            report, kb.sync_files(file), kb.search("metformin"), kb.search("metformin")[0],
            kb.search("metformin")[0].explain(), kb.documents(), kb.get("d1"), kb.stats(), kb.facets("year"), kb.versions(),
            kb.versions()[0], kb.context("metformin"), kb.context("metformin").citations, kb.context("metformin").citations[0],
            kb.backup(place / "copy"), kb.verify(), registry.get("kidney"), registry.list(), registry.match("kidney"),
            registry.match("kidney")[0], registry.select_panel("kidney"), registry.select_panel("kidney").members[0],
            registry.select_panel("kidney").coverage, registry.versions("kidney"), registry.versions("kidney")[0],
            registry.taxonomy(), registry.export_card("kidney"), registry.calibration(), quorate.evaluate(run, qrels),
            quorate.evaluate(run, qrels, per_query=True), quorate.compare(run, run, qrels),
            quorate.EmbeddingCache(place / "cache").stats(),
        ]
        yield found


def test_every_result_is_a_dict_and_json(results):
    for one in results:
        members = one.to_dict()
        assert type(members) is dict, type(one)
        # Plain to the innermost: what JSON gives back is the same.
        assert json.loads(one.to_json()) == json.loads(json.dumps(members)) == json.loads(one.to_json(indent=2)), type(one)


def test_results_survive_pickling_and_copying(results):
    for one in results:
        for again in (pickle.loads(pickle.dumps(one)), copy.deepcopy(one)):
            assert type(again) is type(one) and again.to_dict() == one.to_dict()


def test_what_is_a_table_is_one(results):
    tables = [one for one in results if hasattr(one, "to_pandas")]
    assert {type(one).__name__ for one in tables} == {
        "Hits", "Documents", "Facets", "Versions", "Citations", "Agents", "Matches", "AgentVersions",
    }
    pandas, polars, pyarrow = map(pytest.importorskip, ("pandas", "polars", "pyarrow"))
    for one in tables:
        frame, other, table = one.to_pandas(), one.to_polars(), one.to_arrow()
        assert isinstance(frame, pandas.DataFrame) and isinstance(other, polars.DataFrame) and isinstance(table, pyarrow.Table)
        assert list(frame.columns) == other.columns == table.column_names, type(one)
        assert len(frame) == len(other) == table.num_rows == len(one) > 0
        if isinstance(one, list):
            # Without rows the columns are the same, with the same types.
            empty = type(one)()
            assert empty.to_dict().popitem()[1] == [] and list(empty.to_pandas().columns) == list(frame.columns)
            assert empty.to_arrow().column_names == empty.to_polars().columns == table.column_names


def test_values_of_tables(results):
    polars = pytest.importorskip("polars")
    by = {type(one).__name__: one for one in results}
    facets = by["Facets"]
    assert facets == [(2020, 1), (2021, 1), ("unknown", 1)]
    assert facets.to_dict() == {"facets": [{"value": value, "count": count} for value, count in facets]}
    assert facets.to_polars()["value"].to_list() == ["2020", "2021", '"unknown"']
    assert quorate.Facets([(1, 2), (2.5, 1)]).to_polars()["value"].to_list() == [1.0, 2.5]
    versions = by["Versions"]
    assert [int(one) for one in versions] == versions.to_pandas()["version"].tolist()
    assert versions.to_polars()["timestamp"].dtype == polars.Datetime("ms", "UTC")
    assert versions.to_polars()["timestamp"].to_list() == [one.timestamp for one in versions]
    assert by["Version"].to_dict()["timestamp"] == by["Version"].timestamp.isoformat(timespec="milliseconds")
    citations = by["Citations"]
    assert citations.to_pandas().iloc[0].to_dict() == by["Citation"].to_dict()
    assert by["Agents"].to_pandas()["id"].tolist() == ["kidney"]


def test_no_result_lacks_them():
    """What the public calls say that they give, where it is a class of the package."""
    handles = {"KnowledgeBase", "AgentRegistry", "Embedder", "Events", "Ratings", "Recording", "Run", "Tool", "McpTools"}
    calls = [
        method for cls in (quorate.KnowledgeBase, quorate.AgentRegistry) for name, method in vars(cls).items()
        if inspect.isfunction(method) and not name.startswith("_")
    ]
    calls += [getattr(module, name) for module in (quorate, consensus) for name in module.__all__]
    seen = set()
    for call in calls:
        if not inspect.isfunction(call):
            continue
        said = str(call.__annotations__.get("return", ""))
        for name in said.replace("|", " ").replace("[", " ").replace("]", " ").split():
            cls = getattr(quorate, name, None) or getattr(consensus, name, None)
            if isinstance(cls, type) and cls.__module__.startswith("quorate") and name not in handles:
                seen.add(name)
                assert hasattr(cls, "to_dict") and hasattr(cls, "to_json"), f"{call.__name__} gives {name}"
    assert {"WriteReport", "Hits", "Context", "Versions", "Facets", "Agents", "Truth"} <= seen
    assert typing.get_type_hints(quorate.KnowledgeBase.facets)["return"] is quorate.Facets

"""Does this version read what earlier ones have written? tests/formats holds it; README.md there says how it came to be."""

from __future__ import annotations

import importlib.util
import json
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

import quorate

FORMATS = Path(__file__).parents[2] / "tests" / "formats"
ALL = sorted(path.name for path in FORMATS.iterdir() if path.is_dir() and (path / "answers.json").exists())
# Formats whose indexes this version builds anew. Documents are read whatever version wrote them.
REBUILT: set[str] = set()


def made():
    """The script that wrote the fixtures: it also says what can be seen of a knowledge base."""
    spec = importlib.util.spec_from_file_location("formats_make", FORMATS / "make.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


make = made()


@pytest.fixture(params=ALL)
def fixture(request, tmp_path):
    """The name of a format, its answers, and what unpacks a part of it."""
    folder = FORMATS / request.param

    def unpack(part):
        with zipfile.ZipFile(folder / f"{part}.zip") as archive:
            archive.extractall(tmp_path / part)
        return tmp_path / part

    return request.param, json.loads((folder / "answers.json").read_text(encoding="utf-8")), unpack


def test_there_are_formats():
    assert ALL and ALL[0] == "v1"


def like(found, written):
    """The same hits in the same order, scores to a millionth."""
    assert {query: [id for id, _ in hits] for query, hits in found.items()} == {
        query: [id for id, _ in hits] for query, hits in written.items()
    }
    for query, hits in written.items():
        assert [score for _, score in found[query]] == pytest.approx([score for _, score in hits], rel=1e-6, abs=1e-6)


def same(kb, written):
    found = make.look(kb)
    assert found["documents"] == written["documents"]
    assert found["version"] == written["version"]
    for mode, hits in written["hits"].items():
        like(found["hits"][mode], hits)


def opened(name, folder, **options):
    """Opens a copy; its indexes are loaded, not built again."""
    told = []
    kb = quorate.open(folder, progress=lambda done, total: told.append(total), **options)
    assert name in REBUILT or not told, "the stored indexes were built again"
    return kb


@pytest.mark.parametrize("read_only", [True, False])
def test_a_knowledge_base_is_read_whole(fixture, read_only):
    name, answers, unpack = fixture
    written = answers["knowledge"]
    with opened(name, unpack("knowledge"), read_only=read_only) as kb:
        same(kb, written["now"])
        assert kb.verify().ok, kb.verify()
        assert [int(version) for version in kb.versions()] == written["versions"]
        assert make.everything(kb.at(written["first"]["version"])) == written["first"]["documents"]
        assert kb.tenants() == sorted(written["tenants"])
        for tenant, seen in written["tenants"].items():
            same(kb.tenant(tenant), seen)
        for where, ids in written["filters"].items():
            assert kb.ids(where) == ids, where
        assert [list(facet) for facet in kb.facets("year")] == written["facets"]


def test_a_knowledge_base_is_written_on(fixture, tmp_path):
    name, answers, unpack = fixture
    folder = unpack("knowledge")
    with opened(name, folder) as kb:
        before = {document["id"]: document for document in make.everything(kb)}
        kb.add([{"id": "new", "text": "Written by a later version: xylophone."}])
        kb.delete(["cut"])
        kb.compact()
    with quorate.open(folder) as kb:
        after = {document["id"]: document for document in make.everything(kb)}
        assert after.pop("new")["text"].startswith("Written") and before.pop("cut")
        assert after == before
        assert [hit.doc_id for hit in kb.search("xylophone", mode="lexical")] == ["new"]
        kb.backup(tmp_path / "copy")
    with quorate.open(tmp_path / "copy", read_only=True) as kb:
        assert kb.verify().ok and len(kb) == len(before) + 1


def test_the_documents_suffice(fixture):
    _, answers, unpack = fixture
    folder = unpack("knowledge")
    shutil.rmtree(folder / "index")
    told = []
    with quorate.open(folder, progress=lambda done, total: told.append((done, total))) as kb:
        same(kb, answers["knowledge"]["now"])
    assert told and told[-1][0] == told[-1][1]


def test_a_stored_graph_is_searched(fixture):
    name, answers, unpack = fixture
    written = answers["graph"]
    vectors = make.rows(4200)
    with opened(name, unpack("graph")) as kb:
        assert kb.count() == written["documents"]
        assert sorted(hit.doc_id for hit in kb.search("row5", mode="lexical", k=100)) == written["words"]
        right = 0
        for row, ids in written["nearest"].items():
            assert [hit.doc_id for hit in kb.search_vector(vectors[int(row)], k=10, exact=True)] == ids
            right += len(set(ids) & {hit.doc_id for hit in kb.search_vector(vectors[int(row)], k=10)})
        assert right >= 48, f"the graph found {right} of 50"
        assert kb.verify().ok


def test_a_registry_is_read_whole(fixture):
    _, answers, unpack = fixture
    written = answers["registry"]
    path = unpack("registry") / "registry"
    with quorate.AgentRegistry(path, catalog=None) as registry:
        assert make.told(registry.list()) == written["agents"]
        assert make.told(registry.tenant("acme").list()) == written["of acme"]
        versions = [[one.revision, one.agent.to_dict() if one.agent else None] for one in registry.versions("kidney")]
        assert versions == written["versions"]
        assert [one.revision for one in registry.versions("gone")] == written["of gone"]
        assert registry.out_of_scope() == written["out of scope"]
        assert registry.revision == written["revision"]
        matches = registry.match("Do bees swarm in May?", k=3)
        assert [match.id for match in matches] == [id for id, _ in written["matches"]]
        # Scores are those of this version: the same as of the same agents in a registry that is new.
        with quorate.AgentRegistry(catalog=None) as new:
            for agent in registry.list():
                new.add(agent.to_dict())
            explained = {match.id: match.explain() for match in new.match("Do bees swarm in May?", k=3)}
        for match in matches:
            told, anew = match.explain(), explained[match.id]
            assert (told.dense, told.lexical, told.topics) == pytest.approx((anew.dense, anew.lexical, anew.topics), abs=1e-6)
        assert registry.match("When do bees swarm?", k=1)[0].explain().outcomes == written["outcomes"]
        registry.add({"id": "new", "name": "New", "summary": "Added by a later version."})
    with quorate.AgentRegistry(path, catalog=None) as registry:
        assert len(registry) == len(written["agents"]) + 1


def test_a_cache_of_vectors_is_read(fixture):
    _, answers, unpack = fixture
    written = answers["cache"]
    asked = []

    def never(texts):
        asked.extend(texts)
        return [[0.0, 0.0, 1.0]] * len(texts)

    embedder = quorate.CallbackEmbedder(never, dim=3, id="twice", cache=quorate.EmbeddingCache(unpack("cache")))
    assert np.allclose(embedder.embed(written["texts"]), written["vectors"]) and not asked


def test_a_recording_is_replayed(fixture):
    _, answers, unpack = fixture
    written = answers["recording"]
    model = quorate.ScriptedModel([], id="scripted:fixture")
    with quorate.replay(unpack("recording") / "case.jsonl"):
        assert model.complete("Which dose?", max_tokens=20).text == written["text"]
        reply = model.complete([{"role": "user", "content": "Look."}], tools=[written["tool"]])
        assert reply.tool_calls[0].arguments == written["arguments"]

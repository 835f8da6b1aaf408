"""What does this version write? Makes a folder of fixtures: `python make.py v1`, once for each format.

A knowledge base is made with everything that it can hold, another one with so many rows that its index has a graph, a
registry, a cache of vectors and a recording; each is packed, and `answers.json` says what is in them.
"""

from __future__ import annotations

import json
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

import quorate

HERE = Path(__file__).resolve().parent
QUERIES = ["metformin in renal failure", "Ćevapčići und Größe", "糖尿病", "glucose"]
METADATA = {
    "text": "mild",
    "int": 2**53 + 1,
    "negative": -7,
    "float": 0.1,
    "bool": True,
    "null": None,
    "date": "2024-02-29T10:15:00+01:00",
    "list": ["fda", "renal"],
    "mixed": [1, "two", 3.5, False],
    "object": {"maker": {"country": "FR", "sites": [1, 2]}},
    "empty": {},
}
LONG = "# Metformin\n\nLowers glucose.\n\n## Kidneys\n\n" + "Do not start below an eGFR of 45. " * 40
DOCUMENTS: list[dict[str, Any]] = [
    {"id": "all", "title": "All kinds", "source": "https://example.org/a", "text": "Metformin lowers glucose.", "metadata": METADATA},
    {"id": "größe/é 1", "title": "Größe", "text": "Ćevapčići, 糖尿病 and 👩‍⚕️ in one text."},
    {"id": "long", "title": "Leaflet", "text": LONG, "metadata": {"year": 2024}},
    {"id": "cut", "text": "First part. Second part.", "chunks": [{"start": 0, "end": 11}, {"start": 12, "end": 24, "headings": ["B"]}]},
    {"id": "changed", "text": "Contraindicated below an eGFR of 60.", "metadata": {"year": 2019}},
    {"id": "gone", "text": "Aspirin inhibits platelets."},
    {"id": "title", "title": "Only a title", "text": ""},
]


def told(documents: list[Any]) -> list[dict[str, Any]]:
    return [document.to_dict() for document in documents]


def everything(kb: quorate.KnowledgeBase) -> list[dict[str, Any]]:
    """The documents of a small knowledge base with their pieces, without vectors."""
    found = []
    for id in kb.ids():
        document = kb.get(id, chunks=True).to_dict()
        document["chunks"] = [{name: chunk[name] for name in ("start", "end", "headings")} for chunk in document["chunks"]]
        found.append(document)
    return found


def hits(kb: quorate.KnowledgeBase, mode: str) -> dict[str, list[list[Any]]]:
    return {query: [[hit.chunk_id, hit.score] for hit in kb.search(query, mode=mode)] for query in QUERIES}


def look(kb: quorate.KnowledgeBase) -> dict[str, Any]:
    """What can be seen of a small knowledge base."""
    modes = ("hybrid", "dense", "lexical")
    return {"documents": everything(kb), "version": kb.stats().version, "hits": {mode: hits(kb, mode) for mode in modes}}


def knowledge_base(folder: Path) -> dict[str, Any]:
    with quorate.open(folder, keep_versions=20) as kb:
        first = kb.add(DOCUMENTS).version
        kb.tenant("acme").add([{"id": "all", "text": "Another's glucose.", "metadata": {"secret": True}}])
        kb.tenant("Zürich").add([{"id": "a", "text": "Insulin lowers glucose at once."}])
        kb.upsert([{"id": "changed", "text": "Contraindicated below an eGFR of 30.", "metadata": {"year": 2024}}])
        kb.update_metadata("long", {"year": 2025, "checked": True})
        kb.delete(ids=["gone"])
    # What was written is stored with its indexes; a second opening writes on.
    with quorate.open(folder, keep_versions=20) as kb:
        kb.add([{"id": "late", "text": "Glucose is measured in mmol/l.", "metadata": {"year": 2025}}])
        return {
            "now": look(kb),
            "first": {"version": first, "documents": everything(kb.at(first))},
            "versions": [int(version) for version in kb.versions()],
            "tenants": {name: look(kb.tenant(name)) for name in kb.tenants()},
            "filters": {where: kb.ids(where) for where in ("year >= 2024", "list CONTAINS 'fda'", "object.maker.country = 'FR'", "`null` IS NULL")},
            "facets": [[value, count] for value, count in kb.facets("year")],
        }


def rows(count: int) -> np.ndarray:
    """Vectors that are the same on every machine: the top bits of SplitMix64 (Steele, Lea and Flood 2014), from -1 to 1."""
    state = np.arange(1, 4 * count + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        state = (state ^ (state >> np.uint64(shift))) * np.uint64(factor)
    state ^= state >> np.uint64(31)
    return ((state >> np.uint64(44)).astype(np.float32) / np.float32(1 << 19) - np.float32(1)).reshape(count, 4)


def graph(folder: Path) -> dict[str, Any]:
    def nothing(texts: list[str]) -> list[list[float]]:
        raise RuntimeError("nothing is embedded here")

    vectors = rows(4200)
    with quorate.open(folder, embedder=quorate.CallbackEmbedder(nothing, dim=4, id="rows"), keep_versions=1) as kb:
        kb.add([{"id": f"r{i}", "text": f"row{i % 97}", "vector": vector} for i, vector in enumerate(vectors)])
        kb.delete(ids=[f"r{i}" for i in range(0, 4200, 100)])
        kb.compact()
        queries = [0, 1, 2, 1000, 4199]
        exact = {str(i): [hit.doc_id for hit in kb.search_vector(vectors[i], k=10, exact=True)] for i in queries}
        words = sorted(hit.doc_id for hit in kb.search("row5", mode="lexical", k=100))
        return {"documents": kb.count(), "nearest": exact, "words": words, "segments": kb.stats().segments}


def registry(folder: Path) -> dict[str, Any]:
    folder.mkdir()
    with quorate.AgentRegistry(folder / "registry", catalog=None) as found:
        kidney = {"id": "kidney", "name": "Nephrologist", "summary": "Treats diseases of the kidney.", "capabilities": [{"name": "medical.kidney"}]}
        bees = {"id": "bees", "name": "Beekeeper", "summary": "Knows honeybees.", "skills": [{"id": "hives", "examples": ["When do bees swarm?"]}]}
        found.add_all([kidney, bees])
        found.add({"id": "gone", "name": "Gone", "summary": "Is removed."})
        found.update({**kidney, "summary": "Treats diseases of the kidney and doses drugs.", "cost_per_call": 0.25, "tags": ["renal"]})
        found.remove("gone")
        found.tenant("acme").add({"id": "own", "name": "Own", "summary": "Knows the glucose meter of Acme."})
        found.set_out_of_scope(["What is the weather?"])
        found.record_outcome("bees", "When do bees swarm?", 1.0)
        return {
            "agents": told(found.list()),
            "of acme": told(found.tenant("acme").list()),
            "versions": [[version.revision, version.agent.to_dict() if version.agent else None] for version in found.versions("kidney")],
            "of gone": [version.revision for version in found.versions("gone")],
            "out of scope": found.out_of_scope(),
            "revision": found.revision,
            "matches": [[match.id, match.score] for match in found.match("Do bees swarm in May?", k=3)],
            "outcomes": found.match("When do bees swarm?", k=1)[0].explain().outcomes,
        }


def cache(folder: Path) -> dict[str, Any]:
    def twice(texts: list[str]) -> list[list[float]]:
        return [[float(len(text)), 1.0, 0.0] for text in texts]

    embedder = quorate.CallbackEmbedder(twice, dim=3, id="twice", cache=quorate.EmbeddingCache(folder))
    texts = ["", "glucose", "糖尿病"]
    return {"texts": texts, "vectors": embedder.embed(texts).tolist()}


def recording(folder: Path) -> dict[str, Any]:
    folder.mkdir()
    call = {"tool_calls": [{"id": "c1", "name": "lookup", "arguments": {"drug": "metformin", "n": 1}}]}
    model = quorate.ScriptedModel(["5 mg — 糖尿病", call], id="scripted:fixture")
    with quorate.record(folder / "case.jsonl", redact=["patient"]):
        text = model.complete("Which dose?", max_tokens=20).text
        lookup = {"name": "lookup", "description": "A label", "schema": {"type": "object", "properties": {"patient": {"type": "string"}}}}
        called = model.complete([{"role": "user", "content": "Look."}], tools=[lookup]).tool_calls[0]
    return {"text": text, "tool": lookup, "arguments": called.arguments}


def pack(folder: Path, to: Path) -> None:
    with zipfile.ZipFile(to, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(folder.rglob("*")):
            if path != folder / "lock":  # it says which process wrote last
                archive.write(path, path.relative_to(folder))


PARTS = {"knowledge": knowledge_base, "graph": graph, "registry": registry, "cache": cache, "recording": recording}


def main(name: str) -> None:
    to = HERE / name
    to.mkdir()
    answers: dict[str, Any] = {"quorate": quorate.__version__}
    with tempfile.TemporaryDirectory() as folder:
        for part, make in PARTS.items():
            answers[part] = make(Path(folder) / part)
            pack(Path(folder) / part, to / f"{part}.zip")
    text = json.dumps(answers, indent=1, ensure_ascii=False)
    (to / "answers.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])

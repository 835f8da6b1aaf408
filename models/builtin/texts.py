"""Which texts teach the built-in model?

Writes `texts.jsonl` (one `{"kind", "text"}` a line, in teaching order) from the collections below, all seeded.
SciFact is never read here: it is kept for evaluation alone. So are XQuAD, the test splits of CLINC150 and
BANKING77, and the hold-outs of MedQuAD (5% of titles) and PubMedQA (10% of abstracts).

    python texts.py --data ../shared/data --out CACHE
"""

import argparse
import csv
import json
import random
import re
import zlib
from pathlib import Path

SEED = 20240607
LAST = 2.0
SENTENCE = re.compile(r"(?<=[.!?])\s+(?=[A-Z0-9(\"'])|\s+-\s+(?=[A-Z])")
SPACE = re.compile(r"\s+")

# Claims, questions and titles as people write them; A, B, C are filled with terms from the collections.
TEMPLATES = """
A increases the risk of B.
A decreases the risk of B.
A is associated with B.
A is not associated with B.
A reduces B in patients with C.
A inhibits B.
A promotes B by activating C.
A regulates B through C.
A expression is increased in B.
A deficiency leads to B.
Loss of A causes B.
A interacts with B.
A plays no role in B.
A treatment improves B.
A is a marker of B.
A induces B in C cells.
High levels of A correlate with B.
Low levels of A protect against B.
Mutations in A cause B.
Patients with A have a higher rate of B.
Children with A are less likely to develop B.
The prevalence of A in B is high.
Does A improve B?
Is A associated with B?
Can A predict B in C?
How does A affect B?
What is the treatment of A?
What causes A?
A versus B for the treatment of C
A and B: a randomized trial
The role of A in B
A in C: a systematic review of B
A-mediated B
A signaling in B
A therapy for B
Incidence of A after B
Activation of A suppresses B.
Knockdown of A enhances B.
A binds to B and blocks C.
A mice develop B.
Long-term A does not increase mortality from B.
1 in 5 people with A have B.
A lowers B by 30%.
""".strip().splitlines()


def held_out(key: str, one_in: int) -> bool:
    """Whether a title or id is kept for validation."""
    return zlib.crc32(key.encode()) % one_in == 0


def read_jsonl(path: Path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def clean(text: str) -> str:
    return SPACE.sub(" ", text).strip()


def sentences(text: str) -> list[str]:
    return [s.strip() for s in SENTENCE.split(clean(text)) if s and len(s.strip()) > 3]


def windows(text: str, sizes: list[int], rng: random.Random, title: str = "", titled: float = 0.0, limit: int = 1400):
    """Cuts a text into runs of sentences, each sentence once."""
    parts, i = sentences(text), 0
    while i < len(parts):
        n = rng.choice(sizes)
        piece = " ".join(parts[i : i + n])[:limit]
        if title and rng.random() < titled:
            piece = f"{title}. {piece}"
        yield piece
        i += n


def acronym(rng: random.Random) -> str:
    """A made-up gene or compound name, so that pieces of words are seen in such places."""
    letters = "".join(rng.choice("ABCDEFGHIKLMNPRSTUVXYZ") for _ in range(rng.choice([2, 3, 3, 4])))
    return letters + rng.choice(["", "", "1", "2", "3", "4", "6", "10", "-1", "-2", "a", "R", "-alpha", "-beta", str(rng.randrange(100))])


def fragments(text: str, step: int, rng: random.Random):
    """Short runs of words from anywhere in a text, as long as a query."""
    words = clean(text).split()
    for i in range(0, max(1, len(words) - 4), step):
        yield " ".join(words[i : i + rng.randint(4, 14)])


def collect(data: Path):
    """Yields (kind, priority, text): a smaller priority is taught earlier on average, above 1 in any case last."""
    rng = random.Random(SEED)
    terms: list[str] = []

    for doc in read_jsonl(data / "retrieval/pubmedqa/corpus.jsonl"):
        if held_out(doc["_id"], 10):
            continue
        yield "pubmedqa", 0.3, doc["text"][:2000]
        for sizes in ([1], [2, 3], [3, 4, 5]):
            for piece in windows(doc["text"], sizes, rng):
                yield "pubmedqa", 0.3, piece
        words = clean(doc["text"]).split()
        for _ in range(6):
            i = rng.randrange(max(1, len(words) - 3))
            terms.append(" ".join(words[i : i + rng.choice([1, 2, 2])]).strip(".,;:()").lower())
    for query in read_jsonl(data / "retrieval/pubmedqa/queries.jsonl"):
        if not held_out(query["_id"][1:], 10):
            yield "question", 0.3, query["text"]

    for doc in read_jsonl(data / "retrieval/medquad/corpus.jsonl"):
        if held_out(doc["title"], 20):
            continue
        terms.append(doc["title"])
        yield from (("medquad", 1.0, w) for w in windows(doc["text"], [1, 1, 2, 3, 4, 6], rng, doc["title"], 0.25))
        if rng.random() < 0.35:
            yield "medquad", 1.0, f"{doc['title']}. {clean(doc['text'])}"[:1500]
    held_titles = {d["_id"] for d in read_jsonl(data / "retrieval/medquad/corpus.jsonl") if held_out(d["title"], 20)}
    for query in read_jsonl(data / "retrieval/medquad/queries.jsonl"):
        if query["_id"][1:] not in held_titles:
            yield "question", 0.6, query["text"]

    lemmas: set[str] = set()
    with open(data / "text/wordnet_glosses.tsv", encoding="utf-8") as f:
        for row in csv.reader(f, delimiter="\t", quoting=csv.QUOTE_NONE):
            words, gloss, examples = row[1], row[2], row[3] if len(row) > 3 else ""
            yield "gloss", 0.8, rng.choice([f"{words}: {gloss}", gloss, f"{words.split(', ')[0]}: {gloss}"])
            for example in examples.split(" | "):
                if len(example) > 12:
                    yield "example", 0.8, example
            for lemma in words.split(", "):
                lemmas.add(lemma)
                if row[0].endswith("-n") and rng.random() < 0.1:
                    terms.append(lemma)
    for lemma in sorted(lemmas):
        if rng.random() < 0.5:
            yield "word", 0.8, lemma

    with open(data / "agents/clinc150.json", encoding="utf-8") as f:
        for text, _ in json.load(f)["train"]:
            yield "utterance", 0.6, text
    with open(data / "agents/banking77_train.csv", encoding="utf-8") as f:
        for row in csv.DictReader(f):
            yield "utterance", 0.6, row["text"]

    terms = sorted(set(t for t in terms if len(t) > 2))
    for i in range(36_000):
        text = TEMPLATES[i % len(TEMPLATES)]
        fill = {k: acronym(rng) if rng.random() < 0.25 else rng.choice(terms) for k in "ABC"}
        text = re.sub(r"\b[ABC]\b(?! (?:randomized|systematic))", lambda m: fill[m.group()], text)
        yield "claim", 0.5, text[0].upper() + text[1:]

    for doc in read_jsonl(data / "retrieval/pubmedqa/corpus.jsonl"):
        if not held_out(doc["_id"], 10):
            yield from (("fragment", LAST, f) for f in fragments(doc["text"], 4, rng))
    for doc in read_jsonl(data / "retrieval/medquad/corpus.jsonl"):
        if not held_out(doc["title"], 20):
            yield from (("fragment", LAST, f) for f in fragments(doc["text"], 60, rng))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    rng = random.Random(SEED + 1)
    seen, rows = set(), []
    for kind, priority, text in collect(args.data):
        text = clean(text)
        if text and text not in seen:
            seen.add(text)
            rows.append((rng.random() * priority if priority < LAST else LAST + rng.random(), kind, text))
    rows.sort()
    args.out.mkdir(parents=True, exist_ok=True)
    with open(args.out / "texts.jsonl", "w", encoding="utf-8") as f:
        for _, kind, text in rows:
            f.write(json.dumps({"kind": kind, "text": text}, ensure_ascii=False) + "\n")
    counts: dict[str, list[int]] = {}
    for _, kind, text in rows:
        c = counts.setdefault(kind, [0, 0])
        c[0] += 1
        c[1] += len(text)
    for kind, (n, chars) in sorted(counts.items()):
        print(f"{kind:10} {n:8} texts {chars / 4.6 / 1e6:6.2f} M tokens, about")


if __name__ == "__main__":
    main()

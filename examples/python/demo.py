"""What does quorate do on real text? Keeps SciFact in a knowledge base, searches it and scores the rankings."""

import os
import tempfile
import time
from pathlib import Path

import quorate


def main() -> None:
    scifact = quorate.load_beir(Path(os.environ.get("QUORATE_DATA", "data")) / "scifact")
    with tempfile.TemporaryDirectory() as folder, quorate.open(folder) as kb:
        start = time.perf_counter()
        report = kb.add(scifact.corpus)
        print(f"{report.added} abstracts stored in {time.perf_counter() - start:.2f} s\n")

        for claim in ("Metformin lowers blood glucose in type 2 diabetes.", "Smoking raises the risk of lung cancer."):
            print(claim)
            for hit in kb.search(claim, k=3, group_by="doc"):
                print(f"  {hit.score:.3f}  {hit.title}")
            print()

        claims = list(scifact.queries.values())
        for mode in ("hybrid", "dense", "lexical"):
            start = time.perf_counter()
            found = kb.search_batch(claims, k=100, mode=mode, group_by="doc")
            took = time.perf_counter() - start
            run = {
                query: {hit.doc_id: hit.score for hit in hits}
                for query, hits in zip(scifact.queries, found, strict=True)
            }
            scores = quorate.evaluate(run, scifact.qrels, ["ndcg@10", "recall@100", "mrr@10"])
            told = "  ".join(f"{metric} {value:.4f}" for metric, value in scores.items())
            print(f"{mode:<8} {len(claims)} claims in {took:.2f} s  {told}")


if __name__ == "__main__":
    main()

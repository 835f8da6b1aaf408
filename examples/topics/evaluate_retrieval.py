"""How good is a search? Judged questions, the usual measures, and whether a difference is more than luck."""

import quorate

TEXTS = {
    "d1": "Metformin is contraindicated in severe renal failure.",
    "d2": "Aspirin inhibits platelets and prolongs bleeding.",
    "d3": "Insulin lowers blood sugar at once.",
    "d4": "Contrast media can harm the kidneys.",
    "d5": "The sky is blue on a clear day.",
}
QUERIES = {"q1": "kidneys and metformin", "q2": "drugs that make you bleed", "q3": "contrast scan and the kidney"}
# What should be found: 2 is better than 1.
JUDGED = {"q1": {"d1": 2, "d4": 1}, "q2": {"d2": 1}, "q3": {"d4": 2}}

with quorate.open(None) as kb:
    kb.add([{"id": id, "text": text} for id, text in TEXTS.items()])

    # A run says what was found, with scores.
    def run(mode: str) -> dict[str, dict[str, float]]:
        found = kb.search_batch(QUERIES.values(), k=5, mode=mode)
        return {query: {hit.doc_id: hit.score for hit in hits} for query, hits in zip(QUERIES, found)}

    hybrid, lexical = run("hybrid"), run("lexical")

# The measures are those of trec_eval; they are 1 at best.
for name, scores in (("hybrid", hybrid), ("lexical", lexical)):
    means = quorate.evaluate(scores, JUDGED, ["ndcg@5", "recall@5", "mrr@5"])
    print(f"{name}:", ", ".join(f"{metric} {value:.3f}" for metric, value in means.items()))

# Fisher's randomisation test: how often would chance give a difference as large? Three questions say little.
compared = quorate.compare(hybrid, lexical, JUDGED, metric="ndcg@5", seed=0)
print(f"wins {compared.wins}, ties {compared.ties}, losses {compared.losses}; p = {compared.p_value:.2f}")

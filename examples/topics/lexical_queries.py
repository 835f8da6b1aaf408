"""Which words must, may and must not occur? Phrases, beginnings of words and misspellings."""

import quorate
from quorate import Lexical

with quorate.open(None) as kb:
    kb.add([
        {"id": "a", "text": "Metformin is contraindicated in severe renal failure."},
        {"id": "b", "text": "Metformin: the failure of renal function is rare in children (paediatric data)."},
        {"id": "c", "text": "Nephropathy and nephrotoxic drugs."},
        {"id": "d", "text": "Heart failure and aspirin."},
    ])

    def found(name: str, lexical: Lexical) -> None:
        # What must and must not occur holds for the whole search, for its dense half too.
        hits = kb.search("kidneys", mode="lexical", lexical=lexical)
        print(f"{name}:", *sorted(hit.doc_id for hit in hits))

    found("all of these words", Lexical(must="metformin failure"))
    found("and none of these", Lexical(must="metformin failure", must_not="paediatric"))
    found("any of these", Lexical(should="aspirin nephropathy"))
    found("one after the other", Lexical(phrase="renal failure"))
    found("with words between", Lexical(phrase={"text": "failure renal", "slop": 1}))
    found("beginning with", Lexical(prefix="nephro"))
    found("misspelt", Lexical(fuzzy="asprin"))
    found("one or the other", Lexical(must=Lexical(should=["aspirin", "nephrotoxic"])))

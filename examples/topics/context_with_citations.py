"""What does a language model get to read? Passages within a budget of tokens, with citations that point back."""

import quorate

with quorate.open(None) as kb:
    kb.add([
        {"id": "label", "title": "Metformin label", "text": "Metformin is contraindicated below an eGFR of 30."},
        {"id": "guide", "title": "Contrast guide", "text": "Hold metformin on the day of a contrast scan."},
        {"id": "sky", "title": "Sky", "text": "The sky is blue on a clear day."},
    ])

    context = kb.context("May a patient with an eGFR of 25 take metformin?", max_tokens=40, k=2)
    print(context.text)
    print("tokens:", "within the budget" if context.tokens <= 40 else "too many")

    # Each marker stands for a passage: document and place.
    for citation in context.citations:
        text = kb.get(citation.doc_id).text
        print(citation.marker, citation.doc_id, "cites:", text[citation.start : citation.end])

    # With `min_relevance` nothing is cited where nothing is about the question, and `reason` says why the text is empty.
    nothing = kb.context("Who won the football match?", min_relevance=0.5)
    print("nothing to say:", nothing.reason)

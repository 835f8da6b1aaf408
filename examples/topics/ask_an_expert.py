"""How does an expert answer from the documents, with no language model? Word for word, cited, or not at all."""

import quorate

with quorate.open(None) as kb:
    kb.add([
        {"id": "label", "title": "Metformin label", "text": "Metformin lowers blood glucose. The usual starting dose of metformin is 500 mg twice daily."},
        {"id": "guide", "title": "Contrast guide", "text": "Hold metformin on the day of a contrast scan."},
    ])
    runtime = quorate.Runtime(kb=kb)

    answer = runtime.ask("What is the starting dose of metformin?")
    print(answer.text)
    for citation in answer.citations:
        print(citation.marker, citation.doc_id, "says:", kb.get(citation.doc_id).text[citation.start : citation.end])
    print(f"borne out by the sources: {answer.grounded:.0%}")

    # What the documents do not say is not made up.
    answer = runtime.ask("Who won the football world cup in 1998?")
    print(answer.status, answer.stopped_by)

    # What happened is in a journal.
    for run in runtime.runs():
        print(run.status, "-", run.title)

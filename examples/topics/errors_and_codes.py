"""What happens when something is wrong? Errors with codes that stay the same, and batches that go on."""

import quorate

with quorate.open(None) as kb:
    kb.add([{"id": "a", "text": "Metformin lowers glucose."}])

    # An error has a code, the same in every language and version, and a message for people. Nothing was stored.
    try:
        kb.add([{"id": "b", "text": "New."}, {"id": "a", "text": "Again."}])
    except quorate.QuorateError as error:
        print(f"{error.code}; documents: {kb.count()}")

    # With `on_error="skip"` the good ones are stored, and the report lists the others.
    report = kb.add([{"id": "b", "text": "New."}, {"id": "a", "text": "Again."}, {"id": "c", "text": ""}], on_error="skip")
    print(f"added {report.added}; left out:", ", ".join(f"{one.id} ({one.code})" for one in report.skipped))

    # Classes tell whose fault it is: the caller's, what is not there, another process's, the network's and so on.
    try:
        kb.get("z")
    except quorate.NotFound as error:
        print("not found:", error.code)

    try:
        kb.search("glucose", where="year >= 'never' AND")
    except quorate.InvalidInput as error:
        print("wrong input:", error.code)

# Every code with what it means.
print("duplicate_id:", quorate.ERROR_CODES["duplicate_id"])

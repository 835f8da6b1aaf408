"""How do tests get a model's real answers without asking it again? Record once, replay for ever."""

import tempfile
from pathlib import Path

import quorate

with tempfile.TemporaryDirectory() as folder:
    case = Path(folder) / "case.jsonl"

    # Every request to a model in this process, and its answer, is written to the file. Keys of services never are, and
    # neither are the values of the fields that `redact` names.
    model = quorate.ScriptedModel(["5 mg"], id="scripted:doses")
    with quorate.record(case, redact=["patient"]):
        print("recorded:", model.complete("Which dose?").text)
    print("lines in the file:", len(case.read_text().splitlines()))

    # The same request is answered from the file; nothing is sent. This model has no reply of its own.
    model = quorate.ScriptedModel([], id="scripted:doses")
    with quorate.replay(case):
        print("replayed:", model.complete("Which dose?").text)

    # Another request is an error that tells the difference.
    with quorate.replay(case):
        try:
            model.complete("Which drug?")
        except quorate.QuorateError as error:
            print("refused:", error.code)

"""Who may have a knowledge base open? One writer, and any number of readers, also in other processes."""

import tempfile

import quorate

with tempfile.TemporaryDirectory() as folder:
    with quorate.open(folder) as writer:
        writer.add([{"id": "a", "text": "Metformin lowers glucose."}])

        # A second writer is refused as long as the first one is open.
        try:
            quorate.open(folder)
        except quorate.Locked as error:
            print("a second writer:", error.code)

        # Readers see a state of the whole, which stands still until they look again.
        with quorate.open(folder, read_only=True) as reader:
            writer.add([{"id": "b", "text": "Aspirin inhibits platelets."}])
            print(f"the reader sees {reader.count()}, the writer {writer.count()}")
            print("refreshed:", "something new" if reader.refresh() else "nothing new")
            print(f"now it sees {reader.count()}: {reader.search('platelets', k=1)[0].doc_id}")
            print("refreshed:", "something new" if reader.refresh() else "nothing new")

            try:
                reader.delete(["a"])
            except quorate.QuorateError as error:
                print("a reader that writes:", error.code)

    # When the writer has closed, another may open.
    with quorate.open(folder) as writer:
        print("the next writer has", writer.count())

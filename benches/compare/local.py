"""Tokens a second of a local model, beside llama.cpp's on the same GGUF file and as many threads.

    CMAKE_ARGS=-DGGML_NATIVE=ON pip install llama-cpp-python==0.3.36    # built from source, for this processor
    python local.py MODEL.gguf PATH/local_speed [PROMPT_TOKENS NEW_TOKENS THREADS ROUNDS]

Rounds of both take turns; the best of each counts, since other programs only ever slow a round down.
"""
import subprocess
import sys
import time

from llama_cpp import Llama
from rows import row

path, program = sys.argv[1:3]
read, write, threads, rounds = [int(x) for x in sys.argv[3:7]] + [512, 128, 2, 5][len(sys.argv) - 3:]
llama = Llama(path, n_ctx=4096, n_batch=512, n_ubatch=512, n_threads=threads, n_threads_batch=threads, verbose=False)
best = {"llama.cpp": [0.0, 0.0], "quorate": [0.0, 0.0]}
for round_number in range(rounds):
    text = f"<|im_start|>user\n{round_number} times:"
    while len(tokens := llama.tokenize(text.encode(), add_bos=False, special=True)) < read:
        text += " The committee considered the evidence and asked for more of it."
    llama.reset()
    start = time.perf_counter()
    llama.eval(tokens)
    first = time.perf_counter()
    for _ in range(write):
        llama.eval([llama.sample(temp=0.0)])
    end = time.perf_counter()
    ours = subprocess.run([program, path, str(read), str(write), str(threads), "1"], capture_output=True, text=True, check=True).stdout
    found = dict(line.split() for line in ours.splitlines())
    for name, pair in {"llama.cpp": (len(tokens) / (first - start), write / (end - first)),
                       "quorate": (float(found["read_per_s"]), float(found["write_per_s"]))}.items():
        best[name] = [max(a, b) for a, b in zip(best[name], pair)]
        print(round_number, name, f"{pair[0]:.0f} {pair[1]:.0f}", flush=True)
for i, what in enumerate(["read", "write"]):
    ratio = best["quorate"][i] / best["llama.cpp"][i]
    print(f"{what}: quorate {best['quorate'][i]:.0f}, llama.cpp {best['llama.cpp'][i]:.0f} tokens/s, ratio {ratio:.2f}")
    row(f"local model, {what}", "tokens/s", best["quorate"][i], {"llama.cpp": best["llama.cpp"][i]}, more_is_better=True)

"""What does the teacher say about each text?

Embeds `texts.jsonl` with all-MiniLM-L6-v2 through ONNX Runtime (weights int8 per channel: the cosine to f32 is
.995, far above what a static student can follow) and keeps one `teacher_NNN.npy` (float16, unit rows) for each
10,000 texts. Shards that exist are not made again, so the work can be stopped and taken up at any time.

    python teacher.py --model all-MiniLM-L6-v2 --out CACHE [--seconds 170]
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np

SHARD = 10_000
MAX_TOKENS = 256


def export(model: Path, target: Path) -> None:
    """Writes the encoder with mean pooling as ONNX, then quantises its weights."""
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import AutoModel

    encoder = AutoModel.from_pretrained(model, attn_implementation="eager").eval()
    heads = encoder.config.num_attention_heads

    class Pooled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.encoder = encoder

        def forward(self, input_ids, attention_mask):
            h = self.encoder.embeddings(input_ids)
            keep = attention_mask.float()
            bias = (1 - keep)[:, None, None, :] * -10000.0
            batch, length, width = h.shape

            def split(x):
                return x.view(batch, length, heads, width // heads).transpose(1, 2)

            for layer in self.encoder.encoder.layer:
                a = layer.attention.self
                q, k, v = split(a.query(h)), split(a.key(h)), split(a.value(h))
                p = torch.softmax(q @ k.transpose(-1, -2) / (width // heads) ** 0.5 + bias, -1)
                c = (p @ v).transpose(1, 2).reshape(batch, length, width)
                h = layer.attention.output.LayerNorm(layer.attention.output.dense(c) + h)
                f = torch.nn.functional.gelu(layer.intermediate.dense(h))
                h = layer.output.LayerNorm(layer.output.dense(f) + h)
            return (h * keep[:, :, None]).sum(1) / keep.sum(1, keepdim=True)

    ids = torch.randint(1000, 2000, (3, 17))
    plain = target.with_name("minilm.onnx")
    torch.onnx.export(
        Pooled().eval(), (ids, torch.ones_like(ids)), str(plain), dynamo=False, opset_version=17,
        input_names=["input_ids", "attention_mask"], output_names=["v"],
        dynamic_axes={"input_ids": {0: "b", 1: "l"}, "attention_mask": {0: "b", 1: "l"}, "v": {0: "b"}},
    )
    quantize_dynamic(str(plain), str(target), weight_type=QuantType.QInt8, per_channel=True)


def embed(session, encodings: list[list[int]]) -> np.ndarray:
    """Unit rows for token ids, batched by length."""
    out = np.zeros((len(encodings), 384), np.float32)
    order = sorted(range(len(encodings)), key=lambda i: len(encodings[i]))
    i = 0
    while i < len(order):
        size = max(4, min(64, 2048 // len(encodings[order[min(i + 16, len(order) - 1)]])))
        rows = order[i : i + size]
        length = max(len(encodings[r]) for r in rows)
        ids = np.zeros((len(rows), length), np.int64)
        keep = np.zeros_like(ids)
        for j, r in enumerate(rows):
            ids[j, : len(encodings[r])] = encodings[r]
            keep[j, : len(encodings[r])] = 1
        out[rows] = session.run(None, {"input_ids": ids, "attention_mask": keep})[0]
        i += size
    return out / np.linalg.norm(out, axis=1, keepdims=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seconds", type=float, default=1e9, help="stop before a shard that would begin later")
    parser.add_argument("--first", type=int, default=0, help="the shard to begin with")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    start = time.time()

    import onnxruntime
    from tokenizers import Tokenizer

    onnx = args.out / "minilm8.onnx"
    if not onnx.exists():
        export(args.model, onnx)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = args.threads
    session = onnxruntime.InferenceSession(str(onnx), options, providers=["CPUExecutionProvider"])
    tokenizer = Tokenizer.from_file(str(args.model / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    with open(args.out / "texts.jsonl", encoding="utf-8") as f:
        texts = [json.loads(line)["text"] for line in f]
    for shard in range(args.first * SHARD, len(texts), SHARD):
        path = args.out / f"teacher_{shard // SHARD:03}.npy"
        if path.exists():
            continue
        if time.time() - start > args.seconds:
            break
        encodings = [e.ids for e in tokenizer.encode_batch(texts[shard : shard + SHARD])]
        begin = time.time()
        vectors = embed(session, encodings)
        np.save(path.with_suffix(".tmp.npy"), vectors.astype(np.float16))
        path.with_suffix(".tmp.npy").rename(path)
        tokens = sum(map(len, encodings))
        print(f"{path.name}: {tokens} tokens, {tokens / (time.time() - begin):.0f} tokens/s", flush=True)


if __name__ == "__main__":
    main()

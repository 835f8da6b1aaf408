"""How are the token vectors of the built-in model learned?

A student that is a plain sum of token vectors learns to point where the teacher points: cosine to the teacher,
pairwise similarities within a batch, recognition of the right teacher vector among the batch (InfoNCE), and, with
pairs of a question and its answer, retrieval itself. Adam, one cosine-shaped schedule, everything seeded.

    python train.py --out CACHE --data ../shared/data --dim 384 --words 1000 --epochs 6 --name NAME
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
import scipy.sparse as sp
import torch

from corpus import Corpus, embed_rows
from evaluate import Evaluation, table
from teacher import SHARD
from texts import SEED, held_out, read_jsonl, sentences
from vocabulary import tokenizer_for


def options() -> argparse.Namespace:
    p = argparse.ArgumentParser(description=__doc__)
    p.add_argument("--out", type=Path, required=True)
    p.add_argument("--data", type=Path, required=True)
    p.add_argument("--name", default="model")
    p.add_argument("--dim", type=int, default=384)
    p.add_argument("--words", type=int, default=1000, help="mined words kept beside the WordPiece vocabulary")
    p.add_argument("--epochs", type=float, default=3)
    p.add_argument("--batch", type=int, default=2048)
    p.add_argument("--lr", type=float, default=3e-3)
    p.add_argument("--cos", type=float, default=1.0)
    p.add_argument("--rel", type=float, default=1.0)
    p.add_argument("--nce", type=float, default=0.1)
    p.add_argument("--nce-tau", type=float, default=0.05)
    p.add_argument("--pairs", type=float, default=0.1)
    p.add_argument("--pair-batch", type=int, default=256)
    p.add_argument("--block", type=int, default=768, help="texts of a batch that are compared with each other")
    p.add_argument("--pair-tau", type=float, default=0.05)
    p.add_argument("--drop", type=float, default=0.0, help="share of tokens left out at random")
    p.add_argument("--tf", default="count", choices=["count", "sqrt", "one"])
    p.add_argument("--idf", type=float, default=1.0, help="power of the idf in the first weights")
    p.add_argument("--kl", type=float, default=0.0)
    p.add_argument("--kl-tau", type=float, default=0.05)
    p.add_argument("--map", type=float, default=0.0, help="ridge of a linear map that all first vectors pass; 0: no map")
    p.add_argument("--long", type=int, default=900, help="characters of an answer")
    p.add_argument("--copies", type=int, default=6, help="pairs from each research abstract")
    p.add_argument("--boost", nargs="*", default=[], help="KIND=FACTOR: how often a kind of text is drawn")
    p.add_argument("--seconds", type=float, default=1e9, help="stop after this long; the same command takes the work up again")
    p.add_argument("--no-eval", action="store_true")
    return p.parse_args()


def pair_texts(data: Path, long: int, research_copies: int) -> tuple[list[str], list[str]]:
    """(question, answer) and (sentence, the rest of its text) of what may be taught."""
    rng = np.random.default_rng(SEED)
    left, right = [], []
    for name, hold in (("pubmedqa", lambda d: held_out(d["_id"], 10)), ("medquad", lambda d: held_out(d["title"], 20))):
        questions = {q["_id"]: q["text"] for q in read_jsonl(data / f"retrieval/{name}/queries.jsonl")}
        for doc in read_jsonl(data / f"retrieval/{name}/corpus.jsonl"):
            if hold(doc):
                continue
            whole = f"{doc['title']} {doc['text']}".strip()[:long]
            copies = research_copies if name == "pubmedqa" else 1
            for _ in range(max(1, copies // 2)):
                left.append(questions["q" + doc["_id"]])
                right.append(whole)
            parts = sentences(whole)
            if len(parts) >= 3:
                for i in rng.permutation(len(parts))[:copies]:
                    left.append(parts[i])
                    right.append(" ".join(parts[:i] + parts[i + 1 :]))
    return left, right


def weigh(rows, tf: str):
    rows = rows.copy()
    if tf == "sqrt":
        rows.data = np.sqrt(rows.data)
    elif tf == "one":
        rows.data[:] = 1
    return rows


class Student:
    """A table of token vectors, read and updated row by row: a batch touches a third of it at most."""

    def __init__(self, table: np.ndarray):
        self.table = table
        self.mean = np.zeros_like(table)
        self.square = np.zeros_like(table)
        self.seen = np.zeros(len(table), np.int64)

    def forward(self, rows, drop: float, rng):
        """Unit vectors of sparse rows as a torch leaf, and what `update` needs."""
        rows = rows.copy()
        if drop:
            rows.data *= rng.random(len(rows.data)) >= drop
        tokens, at = np.unique(rows.indices, return_inverse=True)
        small = sp.csr_matrix((rows.data, at.astype(np.int32), rows.indptr), (rows.shape[0], len(tokens)))
        return torch.from_numpy(small @ self.table[tokens]).requires_grad_(), small, tokens

    def update(self, sums, small, tokens, lr: float, beta1=0.9, beta2=0.98):
        """Adam (Kingma and Ba 2015) on the rows of `tokens` alone, each with its own count of steps."""
        g = small.T.tocsr() @ sums.grad.numpy()
        self.seen[tokens] += 1
        t = self.seen[tokens, None].astype(np.float32)
        m = self.mean[tokens] * beta1 + (1 - beta1) * g
        v = self.square[tokens] * beta2 + (1 - beta2) * g * g
        self.mean[tokens], self.square[tokens] = m, v
        rate = lr * np.sqrt(1 - beta2**t) / (1 - beta1**t)
        self.table[tokens] -= rate * m / (np.sqrt(v) + 1e-9)

    def save(self, path: Path, step: int) -> None:
        np.savez(path, table=self.table, mean=self.mean, square=self.square, seen=self.seen, step=step)

    def load(self, path: Path) -> int:
        held = np.load(path)
        self.table, self.mean, self.square, self.seen = (held[k] for k in ("table", "mean", "square", "seen"))
        return int(held["step"])


def main() -> None:
    args = options()
    torch.manual_seed(SEED)
    torch.set_num_threads(1)  # most of a step is not in torch
    start = time.time()

    vocab = (args.out / "vocab.txt").read_text(encoding="utf-8").split("\n")
    pieces = int((args.out / "pieces.txt").read_text())
    vocab = vocab[: pieces + args.words]
    tokenizer = tokenizer_for(vocab)
    shards = sorted(args.out.glob("teacher_[0-9][0-9][0-9].npy"))
    teacher = np.concatenate([np.load(s) for s in shards]).astype(np.float32)
    taught = np.concatenate([int(s.stem[-3:]) * SHARD + np.arange(len(np.load(s, mmap_mode="r"))) for s in shards])
    with open(args.out / "texts.jsonl", encoding="utf-8") as f:
        texts = [json.loads(line) for line in f]
    counts = Corpus([t["text"] for t in texts], args.out).rows(tokenizer)
    rows = weigh(counts[taught], args.tf)
    boost = dict(b.split("=") for b in args.boost)
    chance = np.array([float(boost.get(texts[i]["kind"], 1)) for i in taught])
    left, right = pair_texts(args.data, args.long, args.copies)
    pair = [weigh(Corpus(t, args.out).rows(tokenizer), args.tf) for t in (left, right)]
    known = np.flatnonzero((np.diff(rows.indptr) > 0) & (chance > 0))
    chance = chance[known] / chance[known].sum()
    print(f"{len(known)} texts, {rows.nnz} tokens, {len(left)} pairs, {len(vocab)} entries, {time.time() - start:.0f} s", flush=True)

    # Principal axes of the teacher over the texts; the student lives on the first `dim` of them.
    _, _, axes = np.linalg.svd(teacher.T @ teacher)
    axes = axes[: args.dim].T
    teacher = teacher @ axes
    teacher /= np.linalg.norm(teacher, axis=1, keepdims=True)
    first = np.load(args.out / "tokens.npy")[: len(vocab)].astype(np.float32) @ axes
    frequency = np.asarray((counts > 0).sum(0)).ravel()
    idf = np.log((1 + len(texts)) / (1 + frequency)) ** args.idf
    idf /= idf.mean()
    E = torch.nn.Parameter(torch.from_numpy((first * idf[:, None]).astype(np.float32)))

    first = (first * idf[:, None]).astype(np.float32)
    if args.map:
        # Least squares from the first vectors of texts to the teacher's: it moves tokens that no text teaches, too.
        given = embed_rows(rows[known], first)
        first = first @ np.linalg.solve(given.T @ given + args.map * len(known) / args.dim * np.eye(args.dim), given.T @ teacher[known])
    student = Student(first.astype(np.float32))
    teacher = torch.from_numpy(teacher)
    per_epoch = len(known) // args.batch
    steps = int(args.epochs * per_epoch)
    unit = torch.nn.functional.normalize
    cross = torch.nn.functional.cross_entropy

    state = args.out / f"{args.name}.state.npz"
    step = first_step = student.load(state) if state.exists() else 0
    order = None
    begin = time.time()
    while step < steps:
        if time.time() - start > args.seconds:
            student.save(state, step)
            print(f"to be continued at step {step} of {steps}")
            return
        if order is None or step % per_epoch == 0:
            order = np.random.default_rng([SEED, step // per_epoch]).choice(known, len(known), p=chance)
        rng = np.random.default_rng([SEED, step // per_epoch, step])
        lr = args.lr * min(1, (step + 1) / 20) * (0.02 + 0.98 * 0.5 * (1 + np.cos(np.pi * step / steps)))
        index = order[(step % per_epoch) * args.batch : (step % per_epoch + 1) * args.batch]
        pick = rng.integers(0, len(left), args.pair_batch)
        parts = [rows[index]] + ([pair[0][pick], pair[1][pick]] if args.pairs else [])
        sums, small, tokens = student.forward(sp.vstack(parts, format="csr"), args.drop, rng)
        v = unit(sums, dim=1)
        s, t = v[: len(index)], teacher[index]
        agree = (s * t).sum(1).mean()
        loss = args.cos * (1 - agree)
        n = args.block
        if args.rel:
            loss = loss + args.rel * 10 * ((s[:n] @ s[:n].T - t[:n] @ t[:n].T) ** 2).mean()
        if args.kl:
            off = -1e4 * torch.eye(n)
            want = torch.softmax(t[:n] @ t[:n].T / args.kl_tau + off, 1)
            loss = loss + args.kl * cross(s[:n] @ s[:n].T / args.kl_tau + off, want)
        if args.nce:
            loss = loss + args.nce * cross(s[-n:] @ t[-n:].T / args.nce_tau, torch.arange(n))
        if args.pairs:
            q, d = v[len(index) :].chunk(2)
            sims, target = q @ d.T / args.pair_tau, torch.arange(len(q))
            loss = loss + args.pairs * 0.5 * (cross(sims, target) + cross(sims.T, target))
        loss.backward()
        student.update(sums, small, tokens, lr)
        if step % 100 == 0 or step == steps - 1:
            took = (time.time() - begin) / (step - first_step + 1) * 1000
            print(f"step {step}/{steps} loss {loss.item():.4f} cosine {agree.item():.4f} {took:.0f} ms", flush=True)
        step += 1

    state.unlink(missing_ok=True)
    found = student.table
    np.save(args.out / f"{args.name}.npy", found.astype(np.float32))
    (args.out / f"{args.name}.json").write_text(json.dumps(vars(args), default=str))
    if args.no_eval:
        return
    evaluation = Evaluation(args.data, args.out)
    print(f"trained in {time.time() - start:.0f} s", flush=True)

    def embed(texts):
        return embed_rows(weigh(Corpus(texts, args.out).rows(tokenizer), args.tf), found)

    result = evaluation.run(embed)
    with open(args.out / "results.jsonl", "a") as f:
        f.write(json.dumps({"name": args.name, **vars(args), **result}, default=str) + "\n")
    print(table({args.name: result}))


if __name__ == "__main__":
    main()

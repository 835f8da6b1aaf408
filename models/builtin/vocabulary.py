"""Which tokens does the built-in model know?

The WordPiece vocabulary of the teacher, without the pieces that no text can reach ([unused..], special tokens,
pieces that the normaliser never lets through), plus whole words mined from the teaching texts that WordPiece
would cut up. A longer vocabulary stays a plain WordPiece vocabulary: the longest match is simply longer.

    python vocabulary.py --model all-MiniLM-L6-v2 --out CACHE --words 20000

writes `vocab.txt`, mined words last and by falling count, and `tokens.npy`, what the teacher says of each token alone.
"""

import argparse
import collections
import json
import unicodedata
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

UNKNOWN = "[UNK]"


def tokenizer_for(vocab: list[str]) -> Tokenizer:
    """BERT's uncased normaliser and pre-tokeniser with WordPiece over `vocab`; id 0 is the unknown token."""
    model = WordPiece({t: i for i, t in enumerate(vocab)}, unk_token=UNKNOWN, max_input_chars_per_word=100)
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True)
    tokenizer.pre_tokenizer = BertPreTokenizer()
    return tokenizer


def reachable(token: str) -> bool:
    """Whether some text can be cut into this token."""
    if token.startswith("[") and token.endswith("]") and len(token) > 2:
        return False
    normalizer, pre = BertNormalizer(lowercase=True), BertPreTokenizer()
    core = token[2:] if token.startswith("##") and len(token) > 2 else token
    words = [w for w, _ in pre.pre_tokenize_str(normalizer.normalize_str(core))]
    if words != [core]:
        return False
    if core is token:
        return True
    # A continuation is met only inside a word: never an ideograph or punctuation, which stand alone.
    joined = [w for w, _ in pre.pre_tokenize_str(normalizer.normalize_str("a" + core))]
    return joined == ["a" + core]


def mine(texts: Path, tokenizer: Tokenizer, least: int) -> list[tuple[str, int]]:
    """Words of the texts that are cut up, with the number of texts they stand in, most frequent first."""
    counts: collections.Counter[str] = collections.Counter()
    with open(texts, encoding="utf-8") as f:
        for line in f:
            row = json.loads(line)
            if row["kind"] not in ("claim", "fragment"):
                text = tokenizer.normalizer.normalize_str(row["text"])
                counts.update({w for w, _ in tokenizer.pre_tokenizer.pre_tokenize_str(text)})
    words = [
        (w, n) for w, n in counts.items()
        if n >= least and 3 < len(w) < 32 and unicodedata.normalize("NFC", w).isalpha()
        and len(tokenizer.encode(w, add_special_tokens=False).ids) > 1
    ]
    return sorted(words, key=lambda x: (-x[1], x[0]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--words", type=int, default=20_000)
    parser.add_argument("--least", type=int, default=2)
    args = parser.parse_args()

    pieces = (args.model / "vocab.txt").read_text(encoding="utf-8").split("\n")
    pieces = [p for p in pieces if p and reachable(p)]
    mined = mine(args.out / "texts.jsonl", tokenizer_for([UNKNOWN] + pieces), args.least)
    print(f"{len(pieces)} pieces; {len(mined)} words cut up, the last of {args.words} in {mined[: args.words][-1][1]} texts")
    vocab = [UNKNOWN] + pieces + [w for w, _ in mined[: args.words]]
    (args.out / "vocab.txt").write_text("\n".join(vocab), encoding="utf-8")
    (args.out / "pieces.txt").write_text(str(1 + len(pieces)))

    import onnxruntime

    import teacher

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 2
    session = onnxruntime.InferenceSession(str(args.out / "minilm8.onnx"), options, providers=["CPUExecutionProvider"])
    full = Tokenizer.from_file(str(args.model / "tokenizer.json"))
    full.no_padding()
    cls, sep = full.token_to_id("[CLS]"), full.token_to_id("[SEP]")
    ids = []
    for token in vocab:
        whole = full.token_to_id(token)
        body = [whole] if whole is not None else full.encode(token, add_special_tokens=False).ids
        ids.append([cls, *body, sep])
    np.save(args.out / "tokens.npy", teacher.embed(session, ids).astype(np.float16))


if __name__ == "__main__":
    main()

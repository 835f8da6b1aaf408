"""How do texts become rows of token counts, for any vocabulary, without cutting the words of all texts each time?

`Corpus` cuts texts into normalised words once (cached on disk); `rows` maps each distinct word to its pieces for
one vocabulary and gives a sparse matrix of counts (texts x tokens), which is all that a bag model sees.
"""

import hashlib
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from tokenizers.normalizers import BertNormalizer
from tokenizers.pre_tokenizers import BertPreTokenizer

NORMALIZER = BertNormalizer(clean_text=True, handle_chinese_chars=True, strip_accents=None, lowercase=True)
PRE = BertPreTokenizer()


class Corpus:
    def __init__(self, texts: list[str], cache: Path):
        key = hashlib.blake2b("\0".join(texts).encode(), digest_size=12).hexdigest()
        path = cache / f"words_{key}.npz"
        if path.exists():
            held = np.load(path)
            self.words = held["text"].tobytes().decode().split("\0")
            self.ids, self.ends = held["ids"], held["ends"]
            return
        at: dict[str, int] = {}
        ids, ends = [], []
        for text in texts:
            for word, _ in PRE.pre_tokenize_str(NORMALIZER.normalize_str(text)):
                ids.append(at.setdefault(word, len(at)))
            ends.append(len(ids))
        self.words = list(at)
        self.ids, self.ends = np.array(ids, np.int32), np.array(ends, np.int64)
        held = np.frombuffer("\0".join(self.words).encode(), np.uint8)
        np.savez(path, text=held, ids=self.ids, ends=self.ends)

    def rows(self, tokenizer) -> sp.csr_matrix:
        """Counts of tokens, texts x vocabulary; the unknown token (id 0) does not count."""
        vocab = tokenizer.get_vocab_size()
        pieces = [e.ids for e in tokenizer.encode_batch(self.words, add_special_tokens=False)]
        cut = sp.csr_matrix(
            (
                np.ones(sum(map(len, pieces)), np.float32),
                np.fromiter((i for p in pieces for i in p), np.int32),
                np.cumsum([0] + [len(p) for p in pieces]),
            ),
            (len(pieces), vocab),
        )
        starts = np.concatenate([[0], self.ends])
        bag = sp.csr_matrix((np.ones(len(self.ids), np.float32), self.ids, starts), (len(self.ends), len(self.words)))
        bag.sum_duplicates()
        out = (bag @ cut).tocsr()
        out.data[out.indices == 0] = 0
        out.eliminate_zeros()
        return out


def embed_rows(rows: sp.csr_matrix, table: np.ndarray) -> np.ndarray:
    """Unit sums of token vectors; zero where no token is known."""
    v = rows @ table
    return v / np.maximum(np.linalg.norm(v, axis=1, keepdims=True), 1e-9)

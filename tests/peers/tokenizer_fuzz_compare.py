"""Compares our tokenizer with PyPI tokenizers (0.23.3) on random Unicode strings.

  python tests/peers/tokenizer_fuzz_compare.py [--binary build/cpu/tests/llm_text_test] [--count 20000] [--seed 0] tokenizer.json ...

make_tokenizers.py makes a tokenizer of each family. A .model file is compared with PyPI sentencepiece (0.2.3); its texts are told apart as a user's, because the package knows no marks
in texts. A .gguf file (byte-level BPE that splits digits, as SmolLM2's; needs PyPI gguf) is compared with the same vocabulary and merges
in tokenizers. Ids and decoded texts must be equal, and so must the streamed text wherever it stands for valid UTF-8.
Exit code 1 if any differs."""
import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from types import SimpleNamespace

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

WORDS = ["Hello", "world", "don't", "WE'LL", "I'm", "it's", "naïve", "日本語", "한국어", "שלום", "नमस्ते", "café",
         "e\u0301", "\u212b", "ﬁ", "½", "²", "①", "12345", "3.14", "0xFF", "http://a.b/c?d=e", "👩\u200d👩\u200d👧", "🇩🇪", "\ufeff",
         "\u200b", "ſ", "K", "İ", "ß", "\u0345\u0334", "def f(x):", "```", "<|im_start|>", "<|im_end|>", "<image>", "<s>", "</s>",
         "<0x0A>", "<unk>", "<|im_", "▁", "▁▁", "Ġ", "Ċ"]
SPACES = [" ", "  ", "    ", "\n", "\n\n", "\r\n", "\t", "\u00a0", "\u3000", "\u2028", "\u0085", "\x1c", "\x0b", "\u180e", " \n ", "\n "]
BLOCKS = [(0x20, 0x7E), (0x0, 0x1F), (0x80, 0x24F), (0x300, 0x36F), (0x370, 0x5FF), (0x600, 0x7BF), (0x900, 0xDFF), (0xE00, 0x11FF),
          (0x1E00, 0x20FF), (0x2100, 0x2BFF), (0x3040, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0xE000, 0xF8FF), (0xF900, 0xFFFF),
          (0x10000, 0x11FFF), (0x1D000, 0x1FBFF), (0x20000, 0x323AF), (0xE0000, 0xE01EF), (0x1, 0x10FFFF)]


def random_text(r):
    parts = []
    for _ in range(r.randint(0, 12)):
        kind = r.random()
        if kind < 0.3:
            parts.append(r.choice(WORDS))
        elif kind < 0.5:
            parts.append(r.choice(SPACES) * r.randint(1, 3))
        elif kind < 0.55:
            parts.append(chr(r.randint(0x21, 0x7E)) * r.randint(1, 30))
        elif kind < 0.6:
            parts.append(str(r.randint(0, 10 ** r.randint(1, 12))))
        else:
            low, high = r.choice(BLOCKS)
            for _ in range(r.randint(1, 8)):
                c = r.randint(low, high)
                parts.append(chr(c) if not 0xD800 <= c < 0xE000 else "\ufffd")
    return "".join(parts)


class SentencePiece:
    """sentencepiece, called as tokenizers is."""

    def __init__(self, path):
        import sentencepiece

        self.model = sentencepiece.SentencePieceProcessor(model_file=path)

    def encode_batch(self, texts, add_special_tokens):
        return [SimpleNamespace(ids=self.model.encode(text), tokens=self.model.encode(text, out_type=str)) for text in texts]

    def decode(self, ids, skip_special_tokens):
        unknown = self.model.unk_id() in ids  # which only we write as the vocabulary does
        return None if unknown else self.model.decode(ids)


def reference_for(path):
    if path.endswith(".model"):
        return SentencePiece(path)
    if not path.endswith(".gguf"):
        return Tokenizer.from_file(path)
    import gguf

    fields = gguf.GGUFReader(path).fields
    tokens, merges, types = (fields[f"tokenizer.ggml.{key}"].contents() for key in ("tokens", "merges", "token_type"))
    assert fields["tokenizer.ggml.pre"].contents() == "smollm"
    reference = Tokenizer(models.BPE({t: i for i, t in enumerate(tokens)}, [tuple(m.split(" ")) for m in merges]))
    reference.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    reference.decoder = decoders.ByteLevel()
    reference.add_special_tokens([AddedToken(t, normalized=False) for t, kind in zip(tokens, types) if kind == 3])
    return reference


def compare(binary, path, count, seed):
    r = random.Random(f"{seed}/{os.path.basename(os.path.dirname(path))}/{os.path.basename(path)}")
    texts = [random_text(r) for _ in range(count)]
    with tempfile.TemporaryDirectory() as folder:
        given, got = f"{folder}/texts.json", f"{folder}/out.json"
        with open(given, "w") as out:
            json.dump(texts, out)
        environment = dict(os.environ, LV_TOKENIZER=path, LV_TEXTS=given, LV_OUT=got)
        subprocess.run([binary, "[.peers]", "-r", "compact"], env=environment, check=True, stdout=subprocess.DEVNULL)
        with open(got) as file:
            ours = json.load(file)
    reference = reference_for(path)
    encodings = reference.encode_batch(texts, add_special_tokens=False)
    different = 0
    for text, encoding, our in zip(texts, encodings, ours):
        decoded = reference.decode(encoding.ids, skip_special_tokens=False)
        if path.endswith(".model"):  # of spaces that a text begins with, the package drops as many as the model does, we one
            our = {key: text if key == "ids" else text.lstrip(" ") for key, text in our.items()}
            decoded = decoded and decoded.lstrip(" ")
        same_text = decoded is None or our["decoded"] == decoded
        same_stream = decoded is None or our["streamed"] == decoded or "\ufffd" in decoded
        if our["ids"] == encoding.ids and same_text and same_stream:
            continue
        different += 1
        if different <= 5:
            print(f"  text     {ascii(text)}\n  expected {encoding.ids} {ascii(decoded)}\n  got      {our['ids']} {ascii(our['decoded'])}")
            print(f"  streamed {ascii(our['streamed'])}\n  tokens   {encoding.tokens}")
    print(f"{path}: {count} texts, {sum(len(e.ids) for e in encodings)} ids, {different} different", flush=True)
    return different


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("tokenizers", nargs="+")
    options.add_argument("--binary", default="build/cpu/tests/llm_text_test")
    options.add_argument("--count", type=int, default=20000)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    sys.exit(1 if sum(compare(given.binary, path, given.count, given.seed) for path in given.tokenizers) else 0)

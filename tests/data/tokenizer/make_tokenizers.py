"""Writes small tokenizers and what PyPI tokenizers (0.23.3) makes of some texts: NAME.json is a tokenizer.json,
NAME.expected.json holds {"texts", "ids", "decoded", "skipped", "with_ends"}; "with_ends" is of the text "a".

  python tests/data/tokenizer/make_tokenizers.py tests/data/tokenizer"""
import json
import sys
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

TEXTS = [
    "Hello world", "", " ", "  two  spaces\n\nnew  lines\t tab ", "It's 2026-11-23, 12345678 items at $3.50!", "naïve café — Ünïcödé ﬁ ½",
    "日本語のテキスト と 한국어", "🚗🚦👩\u200d👩\u200d👧 emoji", "<|im_start|>user\nWhat is shown?<|im_end|>\n", "a <mask> b<mask>c  <mask>", "def f(x):\n    return x**2  # ok",
    "שלום عالم नमस्ते", "e\u0301 vs é", "\u200b\ufeff zero \u0085\u180e", "a" * 40, "don't WON'T we'll I'M 'ſ", "1/2 3.14159e-10 0xFF ② ٣",
    "...!!!???", "Привет, мир!", "tail space ", "\r\n\r\n x", "\U00031350\U0001e4d0 \U00010d40 new letters", "word words wordy <word>", "HELLO  Wörld",
    "x\u0345\u0334y \u212b", "<0x41><unk></s>", "▁a ▁", "Ġx",
]
SPECIALS = ["<|im_start|>", "<|im_end|>"]
BYTES = pre_tokenizers.ByteLevel.alphabet()
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")


def train_bytes(tokenizer, size=340):
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(TEXTS * 3, trainers.BpeTrainer(vocab_size=size, initial_alphabet=BYTES, special_tokens=SPECIALS, show_progress=False))


def byte_level():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    train_bytes(t)
    return t


def regex_split():
    t = Tokenizer(models.BPE(ignore_merges=True))
    t.normalizer = normalizers.NFC()
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(LLAMA3), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    train_bytes(t)
    t.post_processor = processors.Sequence([processors.ByteLevel(), processors.TemplateProcessing(single="<|im_start|> $A", special_tokens=[("<|im_start|>", 0)])])
    return t


def byte_fallback():
    t = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    specials = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)] + SPECIALS
    t.train_from_iterator(TEXTS[:5] * 3, trainers.BpeTrainer(vocab_size=360, special_tokens=specials, show_progress=False))
    t.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 1), ("</s>", 2)])
    return t


def metaspace():
    t = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=False))
    t.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " "), normalizers.Strip()])
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    t.decoder = decoders.Metaspace(prepend_scheme="first")
    t.train_from_iterator(TEXTS[:12] * 3, trainers.BpeTrainer(vocab_size=200, special_tokens=["<unk>"] + SPECIALS, show_progress=False))
    return t


def unigram():
    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.NFKD()
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    t.decoder = decoders.Metaspace()
    t.train_from_iterator(TEXTS[:12] * 3, trainers.UnigramTrainer(vocab_size=150, special_tokens=["<unk>"] + SPECIALS, unk_token="<unk>", show_progress=False))
    return t


def added_tokens():
    t = Tokenizer(models.BPE(unk_token="<unk>", continuing_subword_prefix="##", end_of_word_suffix="</w>"))
    t.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Whitespace(), pre_tokenizers.Punctuation("merged_with_previous"), pre_tokenizers.Split("o", "merged_with_next"), pre_tokenizers.Digits()])
    t.train_from_iterator(TEXTS[:16] * 3, trainers.BpeTrainer(vocab_size=260, continuing_subword_prefix="##", end_of_word_suffix="</w>", special_tokens=["<unk>"] + SPECIALS, show_progress=False))
    t.add_special_tokens([AddedToken("<mask>", lstrip=True, rstrip=True, normalized=False), AddedToken("</s>", rstrip=True, normalized=True)])
    t.add_tokens([AddedToken("word", single_word=True), AddedToken("Hello", normalized=True), AddedToken("    ", normalized=False)])
    return t


folder = Path(sys.argv[1])
for make in (byte_level, regex_split, byte_fallback, metaspace, unigram, added_tokens):
    tokenizer = make()
    path = folder / f"{make.__name__}.json"
    path.write_text(json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":")) + "\n")
    ids = [tokenizer.encode(text, add_special_tokens=False).ids for text in TEXTS]
    expected = dict(texts=TEXTS, ids=ids, decoded=[tokenizer.decode(i, skip_special_tokens=False) for i in ids],
                    skipped=[tokenizer.decode(i, skip_special_tokens=True) for i in ids], with_ends=tokenizer.encode("a").ids)
    (folder / f"{make.__name__}.expected.json").write_text(json.dumps(expected) + "\n")

"""Writes small SentencePiece models and what PyPI sentencepiece (0.2.3) makes of some texts: NAME.model is a tokenizer.model,
NAME.expected.json holds {"texts", "ids", "decoded"}; "decoded" is null where an unknown token is among the ids, which only we write
as the vocabulary does. Also precompiled.json, which gives tokenizers (0.23.3) the characters' table of one of the models, and
precompiled.expected.json, as make_tokenizers.py writes it.

  python tests/data/tokenizer/make_sentence_piece.py tests/data/tokenizer"""
import io
import json
import os
import sys
import tempfile
from pathlib import Path

import sentencepiece
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

TEXTS = ["Hello world", "", " ", "  two  spaces\n\nnew  lines\t tab ", "naïve café — ﬁ ½", "日本語 と 한국어", "🚗 emoji", "<s> typed </s> <unk> <0x41>", "a" * 40,
         "e\u0301 vs é", "\u200b zero", "1234.5", "▁a ▁", "ﬁﬁ  ﬁ", "don't", "\u3000wide\u3000 space ", "x\x00y"]
# What becomes of what: a ligature, a combined letter, white space, and a character that vanishes.
RULES = [("FB01", "66 69"), ("65 301", "E9"), ("3000", "20"), ("9", "20"), ("A", "20"), ("200B", "")]
MODELS = {
    "sentence_bpe": dict(model_type="bpe", vocab_size=340, byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False,
                         split_digits=True, allow_whitespace_only_pieces=True),
    "sentence_unigram": dict(model_type="unigram", vocab_size=120, hard_vocab_limit=False),
    "sentence_plain": dict(model_type="unigram", vocab_size=340, hard_vocab_limit=False, byte_fallback=True, add_dummy_prefix=False, bos_id=-1),
}


def train(folder, name, options):
    """A model of some of the texts; the others show what it does not know. It keeps the rules' path, so that is a relative one."""
    if "normalization_rule_name" not in options:
        Path("rules.tsv").write_text("".join(f"{source}\t{target}\n" for source, target in RULES))
        options = dict(options, normalization_rule_tsv="rules.tsv")
    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(TEXTS[:6] + TEXTS[11:12]), model_writer=written, minloglevel=2, **options)
    (folder / f"{name}.model").write_bytes(written.getvalue())
    return sentencepiece.SentencePieceProcessor(model_proto=written.getvalue())


def fields(message):
    """(number, value) of a protocol buffer's message, for the types that a model's own message has."""
    at = 0

    def varint():
        nonlocal at
        value = shift = 0
        while True:
            value, at, shift = value | (message[at] & 0x7F) << shift, at + 1, shift + 7
            if message[at - 1] < 0x80:
                return value

    while at < len(message):
        key = varint()
        size = {0: 0, 2: 0, 5: 4}[key & 7]
        if key & 7 == 0:
            yield key >> 3, varint()
        else:
            size = size or varint()
            yield key >> 3, message[at:at + size]
            at += size


def precompiled(model):
    """A Unigram tokenizer with the characters' table of `model`."""
    charsmap = dict(fields(dict(fields(model))[3]))[2]
    t = Tokenizer(models.Unigram())
    t.normalizer = normalizers.Precompiled(charsmap)
    t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    t.decoder = decoders.Metaspace()
    t.train_from_iterator(TEXTS * 3, trainers.UnigramTrainer(vocab_size=90, special_tokens=["<unk>", "<s>", "</s>"], unk_token="<unk>", show_progress=False))
    texts = TEXTS + ["\ufb01\u0301 \ufb01\u0301\u0301 e\u0301\u0301 \u3000\u0301", "\r\n\t\r \u200b\u200d", "क्षि\ufb01 👩\u200d👩\u200d👧 🇩🇪🇩🇪 각ᄀ"]
    ids = [t.encode(text, add_special_tokens=False).ids for text in texts]
    return t, dict(texts=texts, ids=ids, decoded=[t.decode(i, skip_special_tokens=False) for i in ids],
                   skipped=[t.decode(i, skip_special_tokens=True) for i in ids], with_ends=t.encode("a").ids)


folder = Path(sys.argv[1]).resolve()
scratch = tempfile.TemporaryDirectory()
os.chdir(scratch.name)
for name, options in MODELS.items():
    model = train(folder, name, options)
    ids = [model.encode(text) for text in TEXTS]
    decoded = [None if model.unk_id() in i else model.decode(i) for i in ids]
    (folder / f"{name}.expected.json").write_text(json.dumps(dict(texts=TEXTS, ids=ids, decoded=decoded)) + "\n")
tokenizer, expected = precompiled((folder / "sentence_unigram.model").read_bytes())
(folder / "precompiled.json").write_text(json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False, separators=(",", ":")) + "\n")
(folder / "precompiled.expected.json").write_text(json.dumps(expected) + "\n")

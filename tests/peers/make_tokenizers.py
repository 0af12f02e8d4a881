"""Trains a tokenizer in the manner of each family that Longview reads, for tokenizer_fuzz_compare.py: OUT/NAME.json for PyPI
tokenizers (0.23.3), OUT/NAME.model for PyPI sentencepiece (0.2.3). Needs both, and protobuf.

  python tests/peers/make_tokenizers.py OUT TEXT... [--size 4000]

TEXT are files to learn from; lines in other scripts are added."""
import argparse
import json
from pathlib import Path

import sentencepiece
from sentencepiece import sentencepiece_model_pb2
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

LINES = ["naïve café — Ünïcödé ﬁ ½ ｆｕｌｌ ｗｉｄｔｈ ①②", "日本語のテキスト と 한국어 中文字符", "🚗🚦👩\u200d👩\u200d👧 🇩🇪 emoji", "שלום عالم नमस्ते สวัสดี", "Привет, мир! Ça va?",
         "e\u0301 vs é, it's WE'LL don't", "def f(x):\n\treturn x ** 2  # ok"]
MARKS = ["<|im_start|>", "<|im_end|>", "<image>"]
SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def byte_level(lines, size, pre, normalizer=None, **model):
    t = Tokenizer(models.BPE(**model))
    t.pre_tokenizer, t.decoder = pre, decoders.ByteLevel()
    if normalizer:
        t.normalizer = normalizer
    t.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=size, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), special_tokens=MARKS, show_progress=False))
    return t


def split_by(pattern):
    return pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def byte_fallback(lines, size, first):
    """Llama 2's; `first` as newer files write it, where only the text's beginning gets a space."""
    t = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
    if first:
        t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    else:
        t.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    specials = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)] + MARKS
    words = [word for line in lines for word in line.split()]  # without a pre-tokenizer whole lines would be learned
    t.train_from_iterator(words, trainers.BpeTrainer(vocab_size=size, special_tokens=specials, show_progress=False))
    return t


def unigram(lines, size, normalizer, pre):
    t = Tokenizer(models.Unigram())
    t.normalizer, t.pre_tokenizer, t.decoder = normalizer, pre, decoders.Metaspace()
    t.train_from_iterator(lines, trainers.UnigramTrainer(vocab_size=size, special_tokens=["<s>", "<pad>", "</s>", "<unk>"], unk_token="<unk>", show_progress=False))
    t.post_processor = processors.TemplateProcessing(single="<s> $A </s>", special_tokens=[("<s>", 0), ("</s>", 2)])
    return t


def charsmap(path):
    model = sentencepiece_model_pb2.ModelProto()
    model.ParseFromString(path.read_bytes())
    return model.normalizer_spec.precompiled_charsmap


def main(out, texts, size):
    out.mkdir(parents=True, exist_ok=True)
    lines = [line for path in texts for line in path.read_text().split("\n") if line.strip()] + LINES * 40
    for name, options in {
            "sp_llama2": dict(model_type="bpe", byte_fallback=True, normalization_rule_name="identity", remove_extra_whitespaces=False, split_digits=True,
                              allow_whitespace_only_pieces=True),
            "sp_bpe_nfkc": dict(model_type="bpe", normalization_rule_name="nfkc", character_coverage=0.99),
            "sp_t5": dict(model_type="unigram", normalization_rule_name="nmt_nfkc"),
            "sp_folded": dict(model_type="unigram", byte_fallback=True, normalization_rule_name="nmt_nfkc_cf", add_dummy_prefix=False)}.items():
        with open(out / f"{name}.model", "wb") as file:
            sentencepiece.SentencePieceTrainer.train(sentence_iterator=iter(lines), model_writer=file, vocab_size=size, minloglevel=2, **options)
    nmt = normalizers.Precompiled(charsmap(out / "sp_t5.model"))
    neox = byte_level(lines, size, pre_tokenizers.ByteLevel(add_prefix_space=False), normalizers.NFC())
    neox.add_tokens([AddedToken(" " * count, normalized=False) for count in range(2, 9)])
    tokenizers = {
        "gpt2": byte_level(lines, size, pre_tokenizers.ByteLevel(add_prefix_space=False)),
        "neox": neox,
        "smollm2": byte_level(lines, size, pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])),
        "qwen2": byte_level(lines, size, split_by(SPLIT % ""), normalizers.NFC()),
        "llama3": byte_level(lines, size, split_by(SPLIT % "{1,3}"), ignore_merges=True),
        "llama2": byte_fallback(lines, size, False),
        "llama2_first": byte_fallback(lines, size, True),
        "t5": unigram(lines, size, nmt, pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])),
        "xlm_roberta": unigram(lines, size, normalizers.Sequence([nmt, normalizers.Strip(left=False), normalizers.Replace(Regex(" {2,}"), "▁")]), pre_tokenizers.Metaspace()),
    }
    for name, tokenizer in tokenizers.items():
        description = json.loads(tokenizer.to_str())
        if description["model"]["type"] == "Unigram":  # tokenizers misreads long numbers in the last bit, which tells ties apart
            description["model"]["vocab"] = [[token, round(score, 6)] for token, score in description["model"]["vocab"]]
        (out / f"{name}.json").write_text(json.dumps(description, ensure_ascii=False))
    print(f"{len(lines)} lines; {', '.join(sorted(path.name for path in out.iterdir()))}")


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("out", type=Path)
    arguments.add_argument("texts", type=Path, nargs="+")
    arguments.add_argument("--size", type=int, default=4000, help="tokens of each")
    given = arguments.parse_args()
    main(given.out, given.texts, given.size)

"""Writes llm/tokenizer/unicode_additions.inc: what the reference's regular expressions know of Unicode
and version 14 did not. Needs PyPI tokenizers (0.23.3: Oniguruma with Unicode 16) and a Python whose
unicodedata is version 14 (3.11)."""
import sys
import unicodedata

from tokenizers import Regex, pre_tokenizers

CATEGORIES = "Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Cf".split()
CHARACTERS = [chr(c) for c in range(1, 0x110000) if not 0xD800 <= c < 0xE000]
STEP = 20000


def members(category):
    splitter = pre_tokenizers.Split(Regex(rf"\p{{{category}}}"), "removed")
    rest = set()
    for i in range(0, len(CHARACTERS), STEP):
        for piece, _ in splitter.pre_tokenize_str("".join(CHARACTERS[i : i + STEP])):
            rest.update(piece)
    return [c for c in CHARACTERS if c not in rest]


assert unicodedata.unidata_version.startswith("14."), unicodedata.unidata_version
ranges = []
for category in CATEGORIES:
    for c in members(category):
        if unicodedata.category(c) == category:
            continue
        if ranges and ranges[-1][1] == ord(c) - 1 and ranges[-1][2] == category:
            ranges[-1][1] = ord(c)
        else:
            ranges.append([ord(c), ord(c), category])
with open(sys.argv[1], "w") as out:
    out.write("// Made by tests/data/tokenizer/make_unicode_additions.py: first, last, general category.\n")
    for first, last, category in ranges:
        out.write(f"{{0x{first:X}, 0x{last:X}, {{'{category[0]}', '{category[1]}'}}}},\n")

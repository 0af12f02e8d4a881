"""Reads a GGUF file of a small Llama: dequantised tensors under Hugging Face's names, and its tokenizer. numpy and `tokenizers` alone.

Reference: ggml, docs/gguf.md; blocks of 32 as in ggml-quants.c."""
import struct
from pathlib import Path

import numpy as np

SCALARS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
STRING, ARRAY = 8, 9
BLOCK = 32
CONTROL = 3   # type of special tokens


class Reader:
    """Walks over the header."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def number(self, kind):
        form = SCALARS[kind]
        value = struct.unpack_from(form, self.data, self.at)[0]
        self.at += struct.calcsize(form)
        return value

    def text(self):
        size = self.number(10)
        self.at += size
        return bytes(self.data[self.at - size:self.at]).decode("utf-8")

    def value(self, kind):
        if kind == STRING:
            return self.text()
        if kind == ARRAY:
            inner, count = self.number(4), self.number(10)
            return [self.value(inner) for _ in range(count)]
        return self.number(kind)


def q8_0(raw):
    """[blocks, 34] bytes -> [blocks, 32]."""
    scale = raw[:, :2].copy().view(np.float16).astype(np.float32)
    return scale * raw[:, 2:].view(np.int8)


def q4_1(raw):
    """[blocks, 20] bytes -> [blocks, 32]: scale, least value, then low halves before high halves."""
    head = raw[:, :4].copy().view(np.float16).astype(np.float32)
    halves = np.concatenate([raw[:, 4:] & 15, raw[:, 4:] >> 4], 1)
    return head[:, :1] * halves + head[:, 1:]


# Type number -> (bytes a block, numbers a block, how it is read).
TYPES = {0: (4, 1, lambda raw: raw.copy().view(np.float32)), 3: (20, BLOCK, q4_1), 8: (34, BLOCK, q8_0)}
NAMES = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
         "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
         "ffn_down": "mlp.down_proj"}


def hugging_face_name(name):
    """'blk.3.attn_q.weight' -> 'layers.3.self_attn.q_proj.weight'."""
    if name.startswith("blk."):
        _, layer, part, kind = name.split(".")
        return f"layers.{layer}.{NAMES[part]}.{kind}"
    return {"token_embd.weight": "embed_tokens.weight", "output_norm.weight": "norm.weight"}[name]


def unpermuted(rows, heads):
    """Undoes the order in which the converter lays the rows of q and k, halves of each head interleaved."""
    return rows.reshape(heads, -1, 2, rows.shape[1]).swapaxes(1, 2).reshape(rows.shape)


def opened(path):
    """(metadata, how many tensors, a Reader at their list) of a GGUF file. Throws ValueError on another."""
    data = np.memmap(Path(path), np.uint8, "r")
    reader = Reader(data)
    if bytes(data[:4]) != b"GGUF":
        raise ValueError(f"{path}: expected a GGUF file")
    reader.at = 8
    tensors, values = reader.number(10), reader.number(10)
    metadata = {}
    for _ in range(values):
        key = reader.text()
        metadata[key] = reader.value(reader.number(4))
    return metadata, tensors, reader


def header(path):
    """The metadata alone."""
    return opened(path)[0]


def read(path):
    """(metadata, {name: float32 array}) of a GGUF file of F32, Q4_1 and Q8_0. Throws ValueError on another."""
    metadata, tensors, reader = opened(path)
    data = reader.data
    listed = []
    for _ in range(tensors):
        name = reader.text()
        shape = [reader.number(10) for _ in range(reader.number(4))]
        listed.append((name, shape[::-1], reader.number(4), reader.number(10)))
    align = metadata.get("general.alignment", 32)
    base = (reader.at + align - 1) // align * align
    out = {}
    for name, shape, kind, offset in listed:
        if kind not in TYPES:
            raise ValueError(f"{path}: {name}: expected F32, Q4_1 or Q8_0, got type {kind}")
        size, numbers, decode = TYPES[kind]
        blocks = int(np.prod(shape)) // numbers
        raw = np.asarray(data[base + offset:base + offset + blocks * size]).reshape(blocks, size)
        values = decode(raw).reshape(shape)
        heads = {"attn_q": "llama.attention.head_count", "attn_k": "llama.attention.head_count_kv"}.get(name.split(".")[-2])
        out[hugging_face_name(name)] = unpermuted(values, metadata[heads]) if heads else values
    return metadata, out


def tokenizer(metadata):
    """The tokenizer as the `tokenizers` library has it: digits apart, byte-level BPE."""
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    tokens, kinds = metadata["tokenizer.ggml.tokens"], metadata["tokenizer.ggml.token_type"]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    made = Tokenizer(models.BPE(vocabulary, [tuple(pair.split(" ")) for pair in metadata["tokenizer.ggml.merges"]]))
    made.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(token, normalized=False) for token, kind in zip(tokens, kinds) if kind == CONTROL])
    return made

"""Makes the files beside it, with the packages that define the formats as the judge.

Ran with safetensors 0.8.0, gguf 0.19.0, torch 2.11.0, numpy 2.4.6.
"""

import json
import pathlib

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from safetensors.torch import save_file

HERE = pathlib.Path(__file__).parent
RANDOM = np.random.default_rng(7)
LATER = np.random.default_rng(8)  # of kinds that came later: the others stay as they were


def random_blocks(kind, rows, columns, random=RANDOM):
    """Random bits in valid blocks: small float16 scales, everything else as it comes."""
    weights, size = gguf.GGML_QUANT_SIZES[kind]
    blocks = random.integers(0, 256, (rows, columns // weights, size), dtype=np.uint8)
    if kind in (Type.F16, Type.BF16):
        x = torch.from_numpy(random.standard_normal((rows, columns)).astype(np.float32))
        return x.to(torch.float16 if kind == Type.F16 else torch.bfloat16).view(torch.uint8).numpy()
    halves = {Type.Q4_0: [0], Type.Q4_1: [0, 2], Type.Q5_0: [0], Type.Q5_1: [0, 2], Type.Q8_0: [0],
              Type.Q2_K: [80, 82], Type.Q3_K: [108], Type.Q4_K: [0, 2], Type.Q5_K: [0, 2], Type.Q6_K: [208]}
    for at in halves[kind]:
        scales = random.uniform(-0.02, 0.02, blocks.shape[:2]).astype(np.float16)
        blocks[:, :, at : at + 2] = scales.view(np.uint8).reshape(*blocks.shape[:2], 2)
    return blocks.reshape(rows, -1)


def add_blocks(tensors, kind, columns, random):
    blocks = random_blocks(kind, 3, columns, random)
    tensors[f"{kind.name}.blocks"] = torch.from_numpy(blocks)
    tensors[f"{kind.name}.values"] = torch.from_numpy(gguf.dequantize(blocks, kind).copy())


def make_blocks():
    tensors = {}
    for kind, columns in [(Type.Q4_0, 64), (Type.Q4_1, 64), (Type.Q8_0, 64), (Type.Q4_K, 512), (Type.Q6_K, 512)]:
        add_blocks(tensors, kind, columns, RANDOM)
    for kind, columns in [(Type.Q5_0, 64), (Type.Q5_1, 64), (Type.Q2_K, 512), (Type.Q3_K, 512), (Type.Q5_K, 512),
                          (Type.F16, 64), (Type.BF16, 64)]:
        add_blocks(tensors, kind, columns, LATER)
    save_file(tensors, HERE / "blocks.safetensors")


def make_types():
    x = torch.arange(-3, 3).reshape(2, 3)
    tensors = {
        "f64": x.double() / 4, "f32": x.float() / 4, "f16": x.half() / 4, "bf16": x.bfloat16() / 4,
        "i64": x.long(), "i32": x.int(), "i16": x.short(), "i8": x.to(torch.int8),
        "u8": (x + 3).to(torch.uint8), "bool": x > 0, "scalar": torch.tensor(2.5), "empty": torch.zeros(0, 4),
    }
    save_file(tensors, HERE / "types.safetensors", metadata={"format": "pt"})


def make_sharded():
    folder = HERE / "sharded"
    folder.mkdir(exist_ok=True)
    shards = {"model-00001-of-00002.safetensors": {"a.weight": torch.arange(6.0).reshape(2, 3)},
              "model-00002-of-00002.safetensors": {"b.weight": torch.arange(4.0), "c.bias": torch.ones(2)}}
    index = {"metadata": {"total_size": 48}, "weight_map": {}}
    for name, tensors in shards.items():
        save_file(tensors, folder / name)
        index["weight_map"].update({tensor: name for tensor in tensors})
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    (folder / "config.json").write_text(json.dumps({"architectures": ["TinyForCausalLM"], "width": 3}))


def permuted(x, heads):
    """The order in which converters of the Llama family write the rows of q and k."""
    return x.reshape(heads, 2, x.shape[0] // heads // 2, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)


def original(x, heads):
    return x.reshape(heads, x.shape[0] // heads // 2, 2, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)


def add_keys(writer):
    writer.add_name("tiny")
    writer.add_block_count(1)
    writer.add_context_length(128)
    writer.add_embedding_length(256)
    writer.add_feed_forward_length(32)
    writer.add_head_count(2)
    writer.add_head_count_kv(1)
    writer.add_key_length(4)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(500000.0)
    writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
    writer.add_rope_scaling_factor(4.0)
    writer.add_vocab_size(16)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list([f"t{i}" for i in range(16)])
    writer.add_token_scores([i / 2 for i in range(16)])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(True)


def make_llama():
    writer = gguf.GGUFWriter(HERE / "tiny_llama.gguf", "llama")
    add_keys(writer)
    expected = {}

    def dense(name, hugging_face, shape, dtype=np.float32):
        x = RANDOM.standard_normal(shape).astype(dtype)
        writer.add_tensor(name, x)
        expected[hugging_face] = torch.from_numpy(x)

    def quantized(name, hugging_face, kind, rows, columns, heads=0):
        blocks = random_blocks(kind, rows, columns)
        writer.add_tensor(name, blocks, raw_dtype=kind)
        values = gguf.dequantize(blocks, kind)
        expected[hugging_face] = torch.from_numpy((original(values, heads) if heads else values).copy())

    layer, hf = "blk.0.", "model.layers.0."
    quantized("token_embd.weight", "model.embed_tokens.weight", Type.Q6_K, 16, 256)
    dense("output_norm.weight", "model.norm.weight", 256)
    dense("rope_freqs.weight", "rope_freqs.weight", 2)
    dense(layer + "attn_norm.weight", hf + "input_layernorm.weight", 256)
    quantized(layer + "attn_q.weight", hf + "self_attn.q_proj.weight", Type.Q4_K, 8, 256, heads=2)
    bias = RANDOM.standard_normal(8).astype(np.float32)
    writer.add_tensor(layer + "attn_q.bias", permuted(bias, 2))
    expected[hf + "self_attn.q_proj.bias"] = torch.from_numpy(bias)
    quantized(layer + "attn_k.weight", hf + "self_attn.k_proj.weight", Type.Q4_0, 4, 256, heads=1)
    quantized(layer + "attn_v.weight", hf + "self_attn.v_proj.weight", Type.Q4_1, 4, 256)
    dense(layer + "attn_output.weight", hf + "self_attn.o_proj.weight", (256, 8), np.float16)
    dense(layer + "ffn_norm.weight", hf + "post_attention_layernorm.weight", 256)
    quantized(layer + "ffn_gate.weight", hf + "mlp.gate_proj.weight", Type.Q8_0, 32, 256)
    quantized(layer + "ffn_up.weight", hf + "mlp.up_proj.weight", Type.Q4_K, 32, 256)
    quantized(layer + "ffn_down.weight", hf + "mlp.down_proj.weight", Type.Q8_0, 256, 32)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    save_file(expected, HERE / "tiny_llama.safetensors")


if __name__ == "__main__":
    make_blocks()
    make_types()
    make_sharded()
    make_llama()

"""Makes tiny_fastv: a Llama of four layers, and what it says when layers read fewer rows of its prompt, as FastV (Chen et al., ECCV
2024) has it.

    python make_fastv.py        (torch 2.11.0, transformers 5.17.0, safetensors)

golden.safetensors holds ids [44], of which 40 are the prompt, rows [24] that may go, and for each (layer, keep) of CASES:
rows_L_K [m], the prompt's rows that layers from L on read; logits_L_K [5, V] of the prompt's last row and the ids behind it."""
from pathlib import Path

import torch
import transformers as tf
from safetensors.torch import save_file
from transformers.models.llama.modeling_llama import apply_rotary_pos_emb, repeat_kv

HERE = Path(__file__).parent
CASES = [(1, 12), (2, 12), (2, 3), (3, 1)]
PROMPT, FIRST, LAST = 40, 6, 30

torch.manual_seed(1)
config = tf.LlamaConfig(hidden_size=32, intermediate_size=48, num_hidden_layers=4, num_attention_heads=4, num_key_value_heads=2,
                        vocab_size=67, max_position_embeddings=64, tie_word_embeddings=True, attn_implementation="eager")
model = tf.LlamaForCausalLM(config).eval()
with torch.no_grad():
    for name, weight in model.named_parameters():
        spread = 0.2 if weight.ndim == 1 else 1.2 / weight.shape[-1] ** 0.5
        weight.copy_((torch.randn(weight.shape) * spread + ("norm" in name)).bfloat16())
ids = torch.randint(3, 67, (PROMPT + 4,))


def attention(layer, x, cos, sin):
    """The output [n, D] and the weights [heads, n, n] of a layer over rows of which each sees those before it."""
    n, own = len(x), layer.self_attn
    split = lambda y: y.view(1, n, -1, own.head_dim).transpose(1, 2)
    q, k = apply_rotary_pos_emb(split(own.q_proj(x)), split(own.k_proj(x)), cos, sin)
    k, v = repeat_kv(k, 2), repeat_kv(split(own.v_proj(x)), 2)
    weights = (q @ k.transpose(2, 3) * own.scaling + torch.full((n, n), -torch.inf).triu(1)).softmax(-1)
    return own.o_proj((weights @ v).transpose(1, 2).reshape(n, -1)), weights[0]


def read(first_pruned, keep):
    """Answers are read after the prompt; all at once is the same, since rows see none behind them."""
    x, places = model.model.embed_tokens(ids), torch.arange(len(ids))
    for i, layer in enumerate(model.model.layers):
        if i == first_pruned:
            best = weights[:, PROMPT - 1, FIRST:LAST].mean(0).topk(keep).indices + FIRST
            stays = torch.ones(len(ids), dtype=torch.bool)
            stays[FIRST:LAST] = False
            stays[best] = True
            x, places = x[stays], places[stays]
        cos, sin = model.model.rotary_emb(x, places[None])
        y, weights = attention(layer, layer.input_layernorm(x), cos, sin)
        x = x + y
        x = x + layer.mlp(layer.post_attention_layernorm(x))
    return places[:-4], model.lm_head(model.model.norm(x))[-5:]


golden = {"ids": ids, "rows": torch.arange(FIRST, LAST)}
with torch.inference_mode():
    assert torch.allclose(read(9, 0)[1], model(input_ids=ids[None]).logits[0, -5:], atol=1e-5)
    for first, count in CASES:
        rows, logits = read(first, count)
        golden |= {f"rows_{first}_{count}": rows, f"logits_{first}_{count}": logits.contiguous()}
model.to(torch.bfloat16).save_pretrained(HERE / "tiny_fastv")
(HERE / "tiny_fastv" / "generation_config.json").unlink()
save_file({name: value.clone() for name, value in golden.items()}, str(HERE / "tiny_fastv" / "golden.safetensors"))

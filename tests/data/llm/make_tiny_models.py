"""Makes the tiny language models of the tests and what the reference implementation says to them.

    python make_tiny_models.py        (torch 2.11.0, transformers 5.17.0, safetensors)

`python tests/reference/to_gguf.py tiny_mamba OUT` made tiny_mamba.gguf.

Each folder gets config.json, model.safetensors and golden.safetensors: input_ids [2, n],
logits [2, n, V], greedy_ids [1, 6].
"""
from pathlib import Path

import torch
import transformers as tf
from safetensors.torch import save_file

HERE = Path(__file__).parent
SIZES = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, vocab_size=67, max_position_embeddings=64,
             attn_implementation="eager")
MODELS = {
    "tiny_llama": tf.LlamaForCausalLM(tf.LlamaConfig(
        **SIZES, attention_bias=True, mlp_bias=True, tie_word_embeddings=True,
        rope_scaling=dict(rope_type="llama3", rope_theta=1e4, factor=8.0, low_freq_factor=1.0,
                          high_freq_factor=4.0, original_max_position_embeddings=16))),
    "tiny_mistral": tf.MistralForCausalLM(tf.MistralConfig(**SIZES, sliding_window=5)),
    "tiny_qwen2": tf.Qwen2ForCausalLM(tf.Qwen2Config(
        **SIZES, use_sliding_window=True, sliding_window=4, max_window_layers=1)),
    "tiny_qwen3": tf.Qwen3ForCausalLM(tf.Qwen3Config(
        **SIZES, head_dim=16, rope_scaling=dict(rope_type="yarn", rope_theta=1e4, factor=4.0,
                                                original_max_position_embeddings=16))),
    "tiny_smollm3": tf.SmolLM3ForCausalLM(tf.SmolLM3Config(
        **SIZES, no_rope_layer_interval=2, use_sliding_window=True, sliding_window=5,
        pad_token_id=0, bos_token_id=1, eos_token_id=2)),
    "tiny_mamba": tf.MambaForCausalLM(tf.MambaConfig(
        hidden_size=24, state_size=4, num_hidden_layers=2, vocab_size=67, conv_kernel=4,
        use_bias=True)),
}

for name, model in MODELS.items():
    torch.manual_seed(1)
    with torch.no_grad():
        for key, weight in model.named_parameters():
            spread = 0.2 if weight.ndim == 1 else 1.2 / weight.shape[-1] ** 0.5
            weight.copy_((torch.randn(weight.shape) * spread + ("norm" in key)).bfloat16())
    model.eval()  # only weights are rounded: model.to() would round the RoPE frequencies as well
    ids = torch.randint(3, SIZES["vocab_size"], (2, 14))
    with torch.inference_mode():
        logits = model(input_ids=ids).logits
        greedy = model.generate(ids[:1], max_new_tokens=6, do_sample=False, eos_token_id=None,
                                pad_token_id=0)[:, ids.shape[1]:]
    model.to(torch.bfloat16).save_pretrained(HERE / name)
    (HERE / name / "generation_config.json").unlink()
    save_file(dict(input_ids=ids, logits=logits.contiguous(), greedy_ids=greedy.contiguous()),
              str(HERE / name / "golden.safetensors"))

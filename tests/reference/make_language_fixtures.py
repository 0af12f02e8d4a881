"""Makes parity fixtures of language models that the reference's own script leaves out: position policies, SmolLM3, and keys
as older checkpoints write them.

  python tests/reference/make_language_fixtures.py OUT [--seed N] [--only NAME ...]

Needs torch 2.11.0, transformers 5.17.0 and safetensors. A fixture is a folder as `longview parity` reads it: model/,
inputs.safetensors, expected.safetensors, about.json. seeds.py runs it over several seeds."""
import json

import torch
import transformers as tf

from fixtures import RANDOM, draw_ids, give_weights, main, write


def sizes(**others):
    heads = RANDOM.choice([4, 6])
    return dict(hidden_size=16 * heads, intermediate_size=RANDOM.choice([96, 144]), num_hidden_layers=RANDOM.choice([2, 3]),
                num_attention_heads=heads, num_key_value_heads=2, vocab_size=RANDOM.choice([211, 307]),
                max_position_embeddings=512, attn_implementation="eager") | others


def fixture(folder, family, model, length, rewrite=None):
    """Logits of two random texts, and what greedily follows the first. `rewrite` changes the saved configuration."""
    model, stored = give_weights(model)
    ids = draw_ids(3, model.config.vocab_size, 2, length)
    with torch.inference_mode():
        logits = model(input_ids=ids).logits
        said = model.generate(ids[:1], max_new_tokens=12, do_sample=False, eos_token_id=None, pad_token_id=0)[:, length:]
    write(folder, family, [model.to(stored)], dict(input_ids=ids), dict(logits=logits, greedy_ids=said))
    if rewrite:
        path = folder / "model" / "config.json"
        path.write_text(json.dumps(rewrite(json.loads(path.read_text())), indent=1))


def llama(folder, rope, length, rewrite=None, **others):
    config = tf.LlamaConfig(**sizes(**others), rope_parameters=dict(rope_theta=1e4) | rope)
    fixture(folder, "llama", tf.LlamaForCausalLM(config), length, rewrite)


def longrope(folder, length):
    factors = [[round(RANDOM.uniform(low, high), 3) for _ in range(8)] for low, high in ((1, 2), (1, 6))]
    llama(folder, dict(rope_type="longrope", short_factor=factors[0], long_factor=factors[1], factor=4.0,
                       original_max_position_embeddings=64), length, max_position_embeddings=256)


def yarn(folder, **keys):
    llama(folder, dict(rope_type="yarn", factor=4.0, original_max_position_embeddings=64) | keys, 90,
          max_position_embeddings=256)


def smollm3(folder, **keys):
    config = tf.SmolLM3Config(**sizes(num_hidden_layers=5), **keys, pad_token_id=0, bos_token_id=1, eos_token_id=2)
    fixture(folder, "smollm3", tf.SmolLM3ForCausalLM(config), 40)


def old_keys(scaling):
    """As transformers before version 5 saved them."""
    def rewrite(config):
        config["rope_theta"] = config.pop("rope_parameters")["rope_theta"]
        config["rope_scaling"] = scaling
        config["torch_dtype"] = config.pop("dtype")
        return config
    return rewrite


def llama1_keys(config):
    """As the first conversions saved them: what is not said has its old default."""
    for key in ("rope_parameters", "num_key_value_heads", "head_dim", "attention_bias", "mlp_bias", "rope_scaling"):
        config.pop(key, None)
    config["torch_dtype"] = config.pop("dtype")
    return config


def windows(folder):
    types = RANDOM.choice([["full_attention", "sliding_attention", "full_attention"], ["sliding_attention"] * 2 + ["full_attention"]])
    config = tf.Qwen2Config(**sizes(num_hidden_layers=3), use_sliding_window=True, sliding_window=9, layer_types=types)
    fixture(folder, "qwen2", tf.Qwen2ForCausalLM(config), 40)


FIXTURES = {
    "longrope_short": lambda f: longrope(f, 40),
    "longrope_long": lambda f: longrope(f, 90),
    "longrope_across": lambda f: longrope(f, 60),  # the text grows past the trained length
    "yarn_attention_factor": lambda f: yarn(f, attention_factor=1.37),
    "yarn_mscale": lambda f: yarn(f, mscale=0.8, mscale_all_dim=0.6),
    "yarn_betas": lambda f: yarn(f, beta_fast=16.0, beta_slow=2.0, truncate=False),
    "old_linear": lambda f: llama(f, dict(rope_type="linear", factor=4.0), 40, old_keys(dict(type="linear", factor=4.0))),
    "old_llama3": lambda f: llama(
        f, dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_max_position_embeddings=64),
        90, old_keys(dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                          original_max_position_embeddings=64))),
    "llama1": lambda f: llama(f, dict(rope_type="default"), 40, llama1_keys, hidden_size=64, num_attention_heads=4,
                              num_key_value_heads=4),
    "llama_biases": lambda f: llama(f, dict(rope_type="default"), 40, attention_bias=True, mlp_bias=True, head_dim=24),
    "smollm3": smollm3,
    "smollm3_layers": lambda f: smollm3(f, no_rope_layers=[1, 0, 1, 1, 0], use_sliding_window=True, sliding_window=7),
    "qwen2_layer_types": windows,
}


if __name__ == "__main__":
    main(FIXTURES, __doc__)

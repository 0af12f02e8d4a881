"""Makes a model that sees, of full size and in the published layout, of random weights: for load times, memory, and that it runs.

  python tests/reference/make_full_size.py smolvlm-256m|llava-1.5-7b OUT [--seed N]

Needs numpy. Writes tensor by tensor, so that memory stays small; LLaVA takes 14 GB of disk. The configuration leaves out what the
published one leaves out. The tokenizer has the published size and special tokens, and made-up words."""
import argparse
import itertools
import json
import string
from pathlib import Path

import numpy as np

SHARD_BYTES = 5_000_000_000


def bf16(x):
    """Rounded to the nearest, as uint16."""
    bits = x.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


STORED = {"BF16": bf16, "F16": lambda x: x.astype("<f2")}


def linear(name, out, into, bias=False):
    yield f"{name}.weight", (out, into)
    if bias:
        yield f"{name}.bias", (out,)


def norm(name, width, bias):
    yield f"{name}.weight", (width,)
    if bias:
        yield f"{name}.bias", (width,)


def transformer(prefix, width, mlp, layers):
    """The layers that CLIP, SigLIP and Idefics3 share."""
    for i in range(layers):
        at = f"{prefix}encoder.layers.{i}."
        for part in ("q_proj", "k_proj", "v_proj", "out_proj"):
            yield from linear(f"{at}self_attn.{part}", width, width, True)
        yield from linear(f"{at}mlp.fc1", mlp, width, True)
        yield from linear(f"{at}mlp.fc2", width, mlp, True)
        yield from norm(f"{at}layer_norm1", width, True)
        yield from norm(f"{at}layer_norm2", width, True)


def llama(prefix, head, vocabulary, width, mlp, layers, kv_width):
    yield f"{prefix}embed_tokens.weight", (vocabulary, width)
    for i in range(layers):
        at = f"{prefix}layers.{i}."
        for part, out in (("q_proj", width), ("k_proj", kv_width), ("v_proj", kv_width), ("o_proj", width)):
            yield from linear(f"{at}self_attn.{part}", out, width)
        yield from linear(f"{at}mlp.gate_proj", mlp, width)
        yield from linear(f"{at}mlp.up_proj", mlp, width)
        yield from linear(f"{at}mlp.down_proj", width, mlp)
        yield from norm(f"{at}input_layernorm", width, False)
        yield from norm(f"{at}post_attention_layernorm", width, False)
    yield from norm(f"{prefix}norm", width, False)
    yield f"{head}.weight", (vocabulary, width)


def smolvlm_tensors():
    eyes = "model.vision_model."
    yield from linear(f"{eyes}embeddings.patch_embedding", 768, (3, 16, 16), True)
    yield f"{eyes}embeddings.position_embedding.weight", (1024, 768)
    yield from transformer(eyes, 768, 3072, 12)
    yield from norm(f"{eyes}post_layernorm", 768, True)
    yield "model.connector.modality_projection.proj.weight", (576, 12288)
    yield from llama("model.text_model.", "lm_head", 49280, 576, 1536, 30, 192)


def llava_tensors():
    eyes = "vision_tower.vision_model."
    yield f"{eyes}embeddings.class_embedding", (1024,)
    yield f"{eyes}embeddings.patch_embedding.weight", (1024, 3, 14, 14)
    yield f"{eyes}embeddings.position_embedding.weight", (577, 1024)
    yield from norm(f"{eyes}pre_layrnorm", 1024, True)
    yield from transformer(eyes, 1024, 4096, 24)
    yield from norm(f"{eyes}post_layernorm", 1024, True)
    yield from linear("multi_modal_projector.linear_1", 4096, 1024, True)
    yield from linear("multi_modal_projector.linear_2", 4096, 4096, True)
    yield from llama("language_model.model.", "language_model.lm_head", 32064, 4096, 11008, 32, 4096)


def flat(shape):
    """(out, (in...)) of a convolution as one shape."""
    return tuple(itertools.chain.from_iterable(x if isinstance(x, tuple) else (x,) for x in shape))


def values(name, shape, random):
    """Activations stay near one: norms of ones, and matrices that keep a vector's length."""
    if len(shape) == 1:
        near = 1.0 if "norm" in name and name.endswith("weight") else 0.0
        return (near + 0.02 * random.standard_normal(shape, np.float32)).astype(np.float32)
    fan_in = int(np.prod(shape[1:]))
    return random.standard_normal(shape, np.float32) * np.float32(fan_in ** -0.5)


def write_shard(path, tensors, dtype, random):
    at, header = 0, {"__metadata__": {"format": "pt"}}
    for name, shape in tensors:
        size = 2 * int(np.prod(shape))
        header[name] = {"dtype": dtype, "shape": list(shape), "data_offsets": [at, at + size]}
        at += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name, shape in tensors:
            STORED[dtype](values(name, shape, random)).tofile(file)
    return at


def write_weights(folder, tensors, dtype, random):
    shards, room = [[]], SHARD_BYTES
    for name, shape in tensors:
        shape = flat(shape)
        size = 2 * int(np.prod(shape))
        if size > room:
            shards.append([])
            room = SHARD_BYTES
        shards[-1].append((name, shape))
        room -= size
    if len(shards) == 1:
        write_shard(folder / "model.safetensors", shards[0], dtype, random)
        return
    total, where = 0, {}
    for i, shard in enumerate(shards, 1):
        file = f"model-{i:05d}-of-{len(shards):05d}.safetensors"
        total += write_shard(folder / file, shard, dtype, random)
        where.update({name: file for name, _ in shard})
    write(folder, "model.safetensors.index.json", {"metadata": {"total_size": total}, "weight_map": where})


def words(space, alphabet, count):
    """`count` made-up tokens beyond the alphabet and the merges that build them: pairs of letters, then pairs of those."""
    made, merges = [], []
    pairs = [a + b for a in [space] + alphabet for b in alphabet]
    for left, right in itertools.chain(itertools.product([space] + alphabet, alphabet), itertools.product(pairs, pairs)):
        if len(made) == count:
            break
        if space in right:
            continue
        made.append(left + right)
        merges.append([left, right])
    return made, merges


def byte_alphabet():
    """The characters that byte-level vocabularies write bytes with."""
    kept = [*range(33, 127), *range(161, 173), *range(174, 256)]
    return [chr(b if b in kept else 256 + n) for b, n in
            zip(range(256), itertools.accumulate((b not in kept for b in range(256)), initial=0))]


def special(tokens):
    return [dict(id=i, content=t, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
            for t, i in tokens.items()]


def smolvlm_tokenizer():
    first = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"] + [f"<reserved_{i}>" for i in range(14)]
    made, merges = words("\u0120", list(string.ascii_lowercase), 49152 - len(first) - 256)
    vocabulary = {t: i for i, t in enumerate(first + byte_alphabet() + made)}
    specials = dict(zip(first, range(len(first))))
    specials["<global-img>"] = 49152
    for i, (r, c) in enumerate(itertools.product(range(1, 7), range(1, 7))):
        specials[f"<row_{r}_col_{c}>"] = 49153 + i
    specials.update({"<fake_token_around_image>": 49189, "<image>": 49190})
    specials.update({f"<|reserved_special_token_{i}|>": 49191 + i for i in range(88)})
    specials["<end_of_utterance>"] = 49279
    return dict(version="1.0", truncation=None, padding=None, added_tokens=special(specials), normalizer=None,
                pre_tokenizer=dict(type="Sequence", pretokenizers=[
                    dict(type="Digits", individual_digits=True),
                    dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=True)]),
                post_processor=None,
                decoder=dict(type="ByteLevel", add_prefix_space=True, trim_offsets=True, use_regex=True),
                model=dict(type="BPE", dropout=None, unk_token=None, continuing_subword_prefix=None,
                           end_of_word_suffix=None, fuse_unk=False, byte_fallback=False, vocab=vocabulary, merges=merges))


def llava_tokenizer():
    first = ["<unk>", "<s>", "</s>"] + [f"<0x{i:02X}>" for i in range(256)]
    letters = list(string.ascii_lowercase + string.ascii_uppercase)
    signs = ["\u2581"] + [c for c in string.printable.strip() if c not in letters]
    made, merges = words("\u2581", letters, 32000 - len(first) - len(signs) - len(letters))
    vocabulary = {t: i for i, t in enumerate(first + signs + letters + made)}
    specials = {"<unk>": 0, "<s>": 1, "</s>": 2, "<image>": 32000, "<pad>": 32001}
    return dict(version="1.0", truncation=None, padding=None, added_tokens=special(specials),
                normalizer=dict(type="Sequence", normalizers=[
                    dict(type="Prepend", prepend="\u2581"),
                    dict(type="Replace", pattern=dict(String=" "), content="\u2581")]),
                pre_tokenizer=None,
                post_processor=dict(type="TemplateProcessing",
                                    single=[dict(SpecialToken=dict(id="<s>", type_id=0)), dict(Sequence=dict(id="A", type_id=0))],
                                    pair=[], special_tokens={"<s>": dict(id="<s>", ids=[1], tokens=["<s>"])}),
                decoder=dict(type="Sequence", decoders=[
                    dict(type="Replace", pattern=dict(String="\u2581"), content=" "), dict(type="ByteFallback"),
                    dict(type="Fuse"), dict(type="Strip", content=" ", start=1, stop=0)]),
                model=dict(type="BPE", dropout=None, unk_token="<unk>", continuing_subword_prefix=None,
                           end_of_word_suffix=None, fuse_unk=True, byte_fallback=True, vocab=vocabulary, merges=merges))


def write(folder, name, content):
    (folder / name).write_text(content if isinstance(content, str) else json.dumps(content, indent=1) + "\n")


def smolvlm(folder, random):
    write(folder, "config.json", dict(
        architectures=["Idefics3ForConditionalGeneration"], image_token_id=49190, model_type="idefics3", scale_factor=4,
        tie_word_embeddings=False, torch_dtype="bfloat16", vocab_size=49280,
        text_config=dict(architectures=["VLlama3ForCausalLM"], bos_token_id=0, eos_token_id=0, head_dim=64, hidden_size=576,
                         intermediate_size=1536, max_position_embeddings=8192, model_type="llama", num_attention_heads=9,
                         num_hidden_layers=30, num_key_value_heads=3, pad_token_id=2, rms_norm_eps=1e-5, rope_interleaved=False,
                         rope_scaling=None, rope_theta=100000, tie_word_embeddings=False, torch_dtype="bfloat16",
                         use_cache=True, vocab_size=49280),
        vision_config=dict(hidden_size=768, image_size=512, max_image_size=dict(longest_edge=512), model_type="idefics3",
                           num_attention_heads=12, patch_size=16, size=dict(longest_edge=2048), tie_word_embeddings=False,
                           use_base_siglip=False)))
    write(folder, "generation_config.json", dict(bos_token_id=1, eos_token_id=49279, pad_token_id=2))
    write(folder, "preprocessor_config.json", dict(
        do_convert_rgb=True, do_image_splitting=True, do_normalize=True, do_pad=True, do_rescale=True, do_resize=True,
        image_mean=[0.5] * 3, image_std=[0.5] * 3, image_processor_type="Idefics3ImageProcessor",
        max_image_size=dict(longest_edge=512), processor_class="Idefics3Processor", resample=1,
        rescale_factor=1 / 255, size=dict(longest_edge=2048)))
    write(folder, "processor_config.json", dict(image_seq_len=64, processor_class="Idefics3Processor"))
    write(folder, "tokenizer.json", smolvlm_tokenizer())
    write(folder, "tokenizer_config.json", dict(bos_token="<|im_start|>", eos_token="<end_of_utterance>",
                                                pad_token="<|im_end|>", unk_token="<|endoftext|>"))
    write(folder, "chat_template.json", dict(chat_template=(
        "<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}:"
        "{% if message['content'][0]['type'] != 'image' %}{{ ' ' }}{% endif %}"
        "{% for part in message['content'] %}"
        "{% if part['type'] == 'image' %}{{ '<image>' }}{% else %}{{ part['text'] }}{% endif %}"
        "{% endfor %}{{ '<end_of_utterance>\\n' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}")))
    write_weights(folder, smolvlm_tensors(), "BF16", random)


def llava(folder, random):
    write(folder, "config.json", dict(
        architectures=["LlavaForConditionalGeneration"], ignore_index=-100, image_token_index=32000, model_type="llava",
        pad_token_id=32001, projector_hidden_act="gelu", tie_word_embeddings=False, torch_dtype="float16",
        text_config=dict(architectures=["LlamaForCausalLM"], max_position_embeddings=4096, model_type="llama",
                         rms_norm_eps=1e-5, torch_dtype="float16", vocab_size=32064),
        vision_config=dict(hidden_size=1024, image_size=336, intermediate_size=4096, model_type="clip_vision_model",
                           num_attention_heads=16, num_hidden_layers=24, patch_size=14, projection_dim=768, vocab_size=32000),
        vision_feature_layer=-2, vision_feature_select_strategy="default"))
    write(folder, "generation_config.json", dict(bos_token_id=1, eos_token_id=2, pad_token_id=32001))
    write(folder, "preprocessor_config.json", dict(
        crop_size=dict(height=336, width=336), do_center_crop=True, do_convert_rgb=True, do_normalize=True, do_rescale=True,
        do_resize=True, image_mean=[0.48145466, 0.4578275, 0.40821073], image_processor_type="CLIPImageProcessor",
        image_std=[0.26862954, 0.26130258, 0.27577711], processor_class="LlavaProcessor", resample=3, rescale_factor=1 / 255,
        size=dict(shortest_edge=336)))
    write(folder, "processor_config.json", dict(image_token="<image>", num_additional_image_tokens=1, patch_size=14,
                                                processor_class="LlavaProcessor", vision_feature_select_strategy="default"))
    write(folder, "tokenizer.json", llava_tokenizer())
    write(folder, "tokenizer_config.json", dict(bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>"))
    write(folder, "chat_template.json", dict(chat_template=(
        "{% for message in messages %}{{ message['role'].upper() }}: "
        "{% for part in message['content'] %}"
        "{% if part['type'] == 'image' %}{{ '<image>\\n' }}{% else %}{{ part['text'] + ' ' }}{% endif %}"
        "{% endfor %}{% endfor %}{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}")))
    write_weights(folder, llava_tensors(), "F16", random)


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    models = {"smolvlm-256m": smolvlm, "llava-1.5-7b": llava}
    options.add_argument("model", choices=models)
    options.add_argument("out", type=Path)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)
    models[given.model](given.out, np.random.default_rng(given.seed))

"""Writes a small model in Hugging Face layout as llama.cpp's converter does: text.gguf, and mmproj.gguf if it sees.

  python tests/reference/to_gguf.py FOLDER OUT [--type keep|F16|Q8_0] [--pre NAME] [--no-chat]

Tensor names and keys are gguf-py's own. Reads Llama, Mamba, Qwen2 and the language models of LLaVA 1.5, SmolVLM and Qwen2.5-VL with
their encoders. `keep` writes matrices in the type they are stored in. Needs gguf 0.19.0, safetensors, torch, numpy."""
import argparse
import json
from pathlib import Path

import gguf
import numpy as np
import torch
from gguf import GGMLQuantizationType as Type
from gguf import MODEL_ARCH as Arch
from safetensors.torch import load_file

TYPES = {torch.float32: Type.F32, torch.float16: Type.F16, torch.bfloat16: Type.BF16}
TEXT = {"llama": Arch.LLAMA, "mamba": Arch.MAMBA, "qwen2": Arch.QWEN2, "qwen2_5_vl_text": Arch.QWEN2VL}


def read_json(path):
    return json.loads(path.read_text()) if path.is_file() else {}


def paired(x, heads):
    """The order in which converters of the Llama family write the rows of q and k."""
    return x.reshape(heads, 2, x.shape[0] // heads // 2, *x.shape[1:]).swapaxes(1, 2).reshape(x.shape)


def add(writer, name, x, wanted):
    """Matrices in the type that was asked for, all else as float32."""
    kind = TYPES[x.dtype] if wanted == "keep" else Type[wanted]
    if x.ndim != 2 or "ssm_conv1d" in name or "ssm_a" in name or "position_embd" in name:
        kind = Type.F32
    if kind == Type.Q8_0 and x.shape[1] % 32:
        kind = Type.F16
    data = np.ascontiguousarray(x.float().numpy())
    writer.add_tensor(name, gguf.quantize(data, kind) if kind != Type.F32 else data, raw_dtype=kind)


def add_tokenizer(writer, folder, vocabulary, options):
    description = read_json(folder / "tokenizer.json")
    if not description:  # the tokens of fixtures without text, of which one stands for pictures
        whole = read_json(folder / "config.json")
        marks = {whole.get(f"{kind}_token_id", whole.get(f"{kind}_token_index")): f"<{kind}>" for kind in ("image", "video")}
        writer.add_token_list([marks.get(i, f"[PAD{i}]") for i in range(vocabulary)])
        return
    model, settings = description["model"], read_json(folder / "tokenizer_config.json")
    tokens, types = [f"[PAD{i}]" for i in range(vocabulary)], [gguf.TokenType.UNUSED] * vocabulary
    for token, i in model["vocab"].items():
        tokens[i], types[i] = token, gguf.TokenType.NORMAL
    for token in description["added_tokens"]:
        i = token["id"]
        tokens[i] = token["content"]
        types[i] = gguf.TokenType.CONTROL if token["special"] else gguf.TokenType.USER_DEFINED
    byte_level = model.get("byte_fallback", False) is not True
    writer.add_tokenizer_model("gpt2" if byte_level else "llama")
    writer.add_tokenizer_pre(options.pre if byte_level else "default")
    writer.add_token_list(tokens)
    if byte_level:
        writer.add_token_merges([" ".join(merge) for merge in model["merges"]])
    else:
        types = [gguf.TokenType.BYTE if t.startswith("<0x") and len(t) == 6 else k for t, k in zip(tokens, types)]
        ranks = {"".join(merge): -float(i) for i, merge in enumerate(model["merges"])}
        writer.add_token_scores([ranks.get(t, -1e6) for t in tokens])
    writer.add_token_types(types)
    for key, name in (("bos_token", "bos"), ("eos_token", "eos"), ("pad_token", "pad"), ("unk_token", "unk")):
        token = settings.get(key)
        token = token.get("content") if isinstance(token, dict) else token
        if token in tokens:
            getattr(writer, f"add_{name}_token_id")(tokens.index(token))
    writer.add_add_bos_token(not byte_level)
    template = folder / "chat_template.jinja"
    if template.is_file() and not options.no_chat:
        writer.add_chat_template(template.read_text())


def add_text_keys(writer, config, arch):
    writer.add_embedding_length(config["hidden_size"])
    writer.add_block_count(config["num_hidden_layers"])
    if arch == Arch.MAMBA:
        writer.add_context_length(2**20)
        writer.add_feed_forward_length(0)
        writer.add_head_count(0)
        writer.add_ssm_conv_kernel(config["conv_kernel"])
        writer.add_ssm_inner_size(config["expand"] * config["hidden_size"])
        writer.add_ssm_state_size(config["state_size"])
        writer.add_ssm_time_step_rank(config["time_step_rank"])
        writer.add_ssm_dt_b_c_rms(False)
        writer.add_layer_norm_rms_eps(config["layer_norm_epsilon"])
        return
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    writer.add_rope_freq_base(rope.get("rope_theta", config.get("rope_theta", 1e4)))
    head = config.get("head_dim") or config["hidden_size"] // config["num_attention_heads"]
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_dimension_count(head)
    if "mrope_section" in rope:
        writer.add_rope_dimension_sections((rope["mrope_section"] + [0, 0, 0, 0])[:4])


def write_text(folder, out, config, tensors, options):
    arch = TEXT[config["model_type"]]
    writer = gguf.GGUFWriter(out / "text.gguf", gguf.MODEL_ARCH_NAMES[arch])
    add_text_keys(writer, config, arch)
    add_tokenizer(writer, folder, config["vocab_size"], options)
    names = gguf.get_tensor_name_map(arch, config["num_hidden_layers"])
    for name, x in tensors.items():
        if arch == Arch.LLAMA and ".q_proj." in name:
            x = paired(x, config["num_attention_heads"])
        if arch == Arch.LLAMA and ".k_proj." in name:
            x = paired(x, config["num_key_value_heads"])
        if name.endswith("A_log"):
            x = -torch.exp(x.float())
        if "conv1d.weight" in name:
            x = x.squeeze(1)
        if name == "lm_head.weight" and config.get("tie_word_embeddings"):
            continue
        add(writer, names.get_name(name, (".weight", ".bias")), x, options.type)
    finish(writer)


def add_eye_keys(writer, whole, config, images, projector):
    writer.add_clip_has_vision_encoder(True)
    writer.add_clip_projector_type(projector)
    writer.add_vision_projection_dim((whole.get("text_config") or whole)["hidden_size"])
    writer.add_vision_image_size(config.get("image_size", 560))
    writer.add_vision_patch_size(config["patch_size"])
    writer.add_vision_embedding_length(config["hidden_size"])
    writer.add_vision_feed_forward_length(config["intermediate_size"])
    writer.add_vision_head_count(config.get("num_attention_heads", config.get("num_heads")))
    mean = [0.48145466, 0.4578275, 0.40821073] if projector != "idefics3" else [0.5] * 3
    std = [0.26862954, 0.26130258, 0.27577711] if projector != "idefics3" else [0.5] * 3
    writer.add_vision_image_mean(images.get("image_mean", mean))
    writer.add_vision_image_std(images.get("image_std", std))


def mlp_eyes(writer, whole, config, images):
    """As LLaVA's own converter: layers behind the last that is read are dropped, as is the norm behind them; the names of
    the two layers of each MLP are exchanged."""
    read = whole.get("vision_feature_layer", -2)
    read = read if read >= 0 else config["num_hidden_layers"] + read + 1
    add_eye_keys(writer, whole, config, images, "mlp")
    writer.add_vision_block_count(read)
    writer.add_array("clip.vision.feature_layer", [read])
    writer.add_vision_attention_layernorm_eps(config["layer_norm_eps"])
    writer.add_vision_use_gelu(config["hidden_act"] == "gelu")

    def named(name, x):
        if "post_layernorm" in name or ".head." in name or name.split(".layers.")[-1].split(".")[0] in map(str, range(read, 99)):
            return
        for long, short in (("multi_modal_projector.linear_1", "mm.0"), ("multi_modal_projector.linear_2", "mm.2"),
                            ("fc1", "FC"), ("fc2", "fc1"), ("FC", "fc2")):
            name = name.replace(long, short)
        yield name, x
    return named


def idefics3_eyes(writer, whole, config, images):
    add_eye_keys(writer, whole, config, images, "idefics3")
    writer.add_vision_block_count(config["num_hidden_layers"])
    writer.add_vision_attention_layernorm_eps(config["layer_norm_eps"])
    writer.add_vision_projector_scale_factor(whole["scale_factor"])
    writer.add_vision_use_gelu(True)
    writer.add_vision_preproc_image_size(images.get("size", {}).get("longest_edge", config["image_size"]))
    return lambda name, x: [(name, x)]


def qwen_eyes(writer, whole, config, images):
    add_eye_keys(writer, whole, config, images, "qwen2.5vl_merger")
    writer.add_vision_block_count(config["depth"])
    writer.add_vision_attention_layernorm_eps(1e-6)
    writer.add_vision_use_silu(True)
    writer.add_vision_n_wa_pattern(config["fullatt_block_indexes"][0] + 1)
    writer.add_vision_window_size(config["window_size"])
    writer.add_vision_spatial_merge_size(config["spatial_merge_size"])
    writer.add_vision_min_pixels(images["size"]["shortest_edge"])
    writer.add_vision_max_pixels(images["size"]["longest_edge"])

    def named(name, x):
        if ".qkv." in name:
            for part, rows in zip("qkv", x.chunk(3)):
                yield name.replace("qkv", part), rows
        elif "patch_embed.proj.weight" in name:
            yield "v.patch_embd.weight", x[:, :, 0]
            yield "v.patch_embd.weight.1", x[:, :, 1]
        else:
            yield name, x
    return named


EYES = {"llava": mlp_eyes, "smolvlm": idefics3_eyes, "idefics3": idefics3_eyes, "qwen2_5_vl": qwen_eyes}


def write_eyes(folder, out, whole, tensors, options):
    config = whole["vision_config"]
    images = read_json(folder / "processor_config.json").get("image_processor") or read_json(folder / "preprocessor_config.json")
    writer = gguf.GGUFWriter(out / "mmproj.gguf", "clip")
    named = EYES[whole["model_type"]](writer, whole, config, images)
    names = gguf.get_tensor_name_map(Arch.MMPROJ, config.get("num_hidden_layers", config.get("depth")))
    for name, x in tensors.items():
        for part, rows in named(name, x):
            to = part if part.startswith(("v.", "mm.")) else names.get_name(part, (".weight", ".bias"))
            assert to, part
            add(writer, to, rows, options.type)
    finish(writer)


def finish(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def text_name(name):
    """A language model's tensor under the name it has alone, or nothing."""
    for prefix in ("model.text_model.", "model.language_model.", "language_model.model."):
        if name.startswith(prefix):
            return "model." + name[len(prefix):]
    if name.startswith(("model.embed_tokens", "model.layers", "model.norm")):
        return name
    return name.replace("language_model.lm_head", "lm_head") if "lm_head" in name else None


def eye_name(name):
    """As the converter knows it."""
    for part in ("visual.", "vision_tower.", "multi_modal_projector."):
        name = name.replace("model." + part, part)
    return name if "vision_tower.vision_model" in name else name.replace("vision_tower.", "vision_tower.vision_model.")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--type", choices=["keep", "F32", "F16", "Q8_0"], default="keep")
    parser.add_argument("--pre", default="smollm", help="how the tokenizer splits text, as llama.cpp names it")
    parser.add_argument("--no-chat", action="store_true", help="leave the chat template out")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    config, tensors = read_json(options.folder / "config.json"), load_file(options.folder / "model.safetensors")
    if "vision_config" not in config:
        write_text(options.folder, options.out, config, tensors, options)
        return
    text = dict(config["text_config"], tie_word_embeddings=config.get("tie_word_embeddings", False))
    write_text(options.folder, options.out, text, {text_name(k): v for k, v in tensors.items() if text_name(k)}, options)
    write_eyes(options.folder, options.out, config, {eye_name(k): v for k, v in tensors.items() if not text_name(k)}, options)


if __name__ == "__main__":
    main()

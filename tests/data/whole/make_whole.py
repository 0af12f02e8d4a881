"""Writes tiny models that see, as people hold them, and what the reference makes of a picture: features, prompt ids,
logits, greedy ids.

Run from the repository's root with transformers 5.17.0, torch 2.11.0, torchvision, tokenizers and safetensors:
make_whole.py
"""
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
import transformers as tf
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

sys.path.append(str(Path(__file__).parents[2] / "reference"))
from auroracap import answer_after, as_xtuner  # noqa: E402
from token_merging import clip_features  # noqa: E402
from vlora import Vlora, Whole, read  # noqa: E402

HERE = Path(__file__).parent
QUESTION = "What is shown in 2 words? <image>"
# Written out from the formats that the models were trained with.
SMOLVLM_TEMPLATE = """<|im_start|>{% for message in messages %}{{ message['role'] | capitalize }}:
{%- if message['content'][0]['type'] != 'image' %}{{ ' ' }}{% endif %}
{%- for part in message['content'] %}
{%- if part['type'] == 'image' %}{{ '<image>' }}{% else %}{{ part['text'] }}{% endif %}
{%- endfor %}{{ '<end_of_utterance>\\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ 'Assistant:' }}{% endif %}"""
LLAVA_TEMPLATE = """{% for message in messages %}{{ message['role'].upper() }}: {% for part in message['content'] %}
{%- if part['type'] == 'image' %}{{ '<image>\\n' }}{% else %}{{ part['text'] + ' ' }}{% endif %}
{%- endfor %}
{%- endfor %}
{%- if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"""

ONEVISION_TEMPLATE = """{% for message in messages %}<|im_start|>{{ message['role'] }}{{ ' ' }}
{%- for part in message['content'] %}
{%- if part['type'] == 'image' %}{{ '<image>' }}{% else %}{{ '\\n' + part['text'] }}{% endif %}
{%- endfor %}<|im_end|>
{%- endfor %}
{%- if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"""


def randomise(model, seed):
    g = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.ndim <= 1:
                near = 1.0 if "norm" in name and name.endswith("weight") else 0.0
                p.copy_(near + 0.1 * torch.randn(p.shape, generator=g))
            else:
                p.copy_(torch.randn(p.shape, generator=g) / p[0].numel() ** 0.5)
    return model.eval()


def picture(height, width):
    y, x = np.mgrid[0:height, 0:width]
    return np.stack([127 + 120 * np.sin(x / 9 + k) * np.cos(y / (7 + k)) for k in range(3)], -1).astype(np.uint8)


def tokenizer(kind, specials, first):
    """`specials` beside those at the beginning, which real vocabularies of this kind start with."""
    corpus = [Path("LICENSE").read_text()]
    if kind == "smollm":
        t = Tokenizer(models.BPE())
        t.decoder = decoders.ByteLevel()
        t.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True),
                                                   pre_tokenizers.ByteLevel(add_prefix_space=False)])
        t.train_from_iterator(corpus, trainers.BpeTrainer(
            vocab_size=300, special_tokens=first, initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    else:
        t = Tokenizer(models.BPE(byte_fallback=True, fuse_unk=True, unk_token="<unk>"))
        t.pre_tokenizer = pre_tokenizers.Metaspace()
        t.decoder = decoders.Sequence([decoders.Replace("\u2581", " "), decoders.ByteFallback(), decoders.Fuse(),
                                       decoders.Strip(" ", 1, 0)])
        t.train_from_iterator(corpus, trainers.BpeTrainer(
            vocab_size=400, special_tokens=first + [f"<0x{i:02X}>" for i in range(256)]))
        # The trainer makes the bytes special, which they are not.
        whole = json.loads(t.to_str())
        whole["added_tokens"] = [a for a in whole["added_tokens"] if not a["content"].startswith("<0x")]
        t = Tokenizer.from_str(json.dumps(whole))
        t.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    t.add_special_tokens(specials)
    return t


def write(name, model, processor, image, inputs, features):
    folder = HERE / name
    with torch.inference_mode():
        logits = model(**inputs).logits
        greedy = model.generate(**inputs, max_new_tokens=8, do_sample=False, eos_token_id=None, pad_token_id=0)
    model.save_pretrained(folder)
    model.generation_config.save_pretrained(folder)
    for part in (processor.tokenizer, processor.image_processor):
        part.save_pretrained(folder)
    (folder / "chat_template.jinja").write_text(processor.chat_template)
    length = inputs["input_ids"].shape[1]
    answer = processor.tokenizer.decode(greedy[0, length:], skip_special_tokens=True)
    (HERE / f"{name}.txt").write_text(answer)
    save_file(dict(picture=torch.from_numpy(image), input_ids=inputs["input_ids"][0].contiguous(),
                   pixel_values=inputs["pixel_values"].contiguous(), features=features.contiguous(),
                   last_logits=logits[0, -1].contiguous(), greedy_ids=greedy[0, length:].contiguous()),
              str(HERE / f"{name}.safetensors"))


def prompt_of(processor, pictures=1):
    content = [{"type": "image"}] * pictures + [{"type": "text", "text": QUESTION.replace(" <image>", "")}]
    return processor.apply_chat_template([{"role": "user", "content": content}], add_generation_prompt=True)


def text_config(vocabulary):
    return dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=4,
                num_key_value_heads=2, vocab_size=vocabulary, max_position_embeddings=512, model_type="llama")


def smolvlm():
    tiles = [f"<row_{r}_col_{c}>" for r in range(1, 4) for c in range(1, 4)]
    specials = ["<global-img>"] + tiles + ["<fake_token_around_image>", "<image>", "<end_of_utterance>"]
    t = tokenizer("smollm", specials, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    fast = tf.PreTrainedTokenizerFast(tokenizer_object=t, bos_token="<|im_start|>", eos_token="<end_of_utterance>",
                                      pad_token="<|im_end|>", unk_token="<|endoftext|>")
    config = tf.SmolVLMConfig(
        vision_config=dict(hidden_size=24, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2,
                           image_size=32, patch_size=8, model_type="smolvlm_vision"),
        text_config=tf.LlamaConfig(**text_config(t.get_vocab_size())), image_token_id=t.token_to_id("<image>"),
        scale_factor=2, tie_word_embeddings=False, attn_implementation="eager")
    model = randomise(tf.SmolVLMForConditionalGeneration(config), 1)
    images = tf.SmolVLMImageProcessorPil(size=dict(longest_edge=96), max_image_size=dict(longest_edge=32))
    # SmolVLM's own processor writes pictures as Idefics3's does.
    processor = tf.Idefics3Processor(images, fast, image_seq_len=4, chat_template=SMOLVLM_TEMPLATE)
    image = picture(45, 70)
    inputs = processor(text=prompt_of(processor), images=[image], return_tensors="pt")
    inputs.pop("pixel_attention_mask")
    with torch.inference_mode():
        features = model.model.get_image_features(inputs["pixel_values"]).pooler_output.flatten(0, 1)
        # The encoder takes smaller pictures than its own; their positions are spread.
        small = torch.randn(1, 3, 16, 24)
        small_features = model.model.vision_model(small).last_hidden_state
    save_file(dict(pixels=small, features=small_features), str(HERE / "small_picture.safetensors"))
    write("tiny_smolvlm", model, processor, image, inputs, features)
    prompts(processor)


def prompts(processor):
    """Ids of other arrangements of pictures in one prompt: their sizes in pixels, height first."""
    cases = []
    for sizes in ([], [[32, 32]], [[20, 96]], [[96, 20]], [[64, 96], [32, 32], [90, 90]]):
        images = [picture(*s) for s in sizes]
        text = prompt_of(processor, len(sizes))
        if not images:
            cases.append(dict(rows=[], columns=[], ids=processor.tokenizer(text)["input_ids"]))
            continue
        cut = processor.image_processor([images], return_row_col_info=True)
        ids = processor(text=text, images=images)["input_ids"][0]
        cases.append(dict(rows=cut["rows"][0], columns=cut["cols"][0], ids=ids))
    (HERE / "prompts.json").write_text(json.dumps(cases, indent=None) + "\n")


def llava():
    t = tokenizer("llama", ["<image>", "<pad>"], ["<unk>", "<s>", "</s>"])
    fast = tf.PreTrainedTokenizerFast(tokenizer_object=t, bos_token="<s>", eos_token="</s>", pad_token="<pad>",
                                      unk_token="<unk>")
    config = tf.LlavaConfig(
        vision_config=tf.CLIPVisionConfig(hidden_size=24, intermediate_size=32, num_hidden_layers=3,
                                          num_attention_heads=2, image_size=32, patch_size=8),
        text_config=tf.LlamaConfig(**text_config(t.get_vocab_size())), image_token_index=t.token_to_id("<image>"),
        attn_implementation="eager")
    model = randomise(tf.LlavaForConditionalGeneration(config), 2)
    size = dict(height=32, width=32)
    processor = tf.LlavaProcessor(tf.CLIPImageProcessorPil(size=dict(shortest_edge=32), crop_size=size), fast,
                                  patch_size=8, vision_feature_select_strategy="default", num_additional_image_tokens=1,
                                  chat_template=LLAVA_TEMPLATE)
    image = picture(45, 70)
    inputs = processor(text=prompt_of(processor), images=[image], return_tensors="pt")
    with torch.inference_mode():
        features = model.model.get_image_features(inputs["pixel_values"]).pooler_output[0]
    write("tiny_llava", model, processor, image, inputs, features)


def auroracap():
    """A film of three frames, in the folders of xtuner. Its prompt as rese1f/aurora's inference.py writes it: the text between
    the pictures is tokenised piece by piece."""
    t = tokenizer("llama", [], ["<unk>", "<s>", "</s>"])
    fast = tf.PreTrainedTokenizerFast(tokenizer_object=t, bos_token="<s>", eos_token="</s>", unk_token="<unk>")
    text = dict(text_config(t.get_vocab_size()), hidden_size=16, intermediate_size=24, num_attention_heads=2)
    config = tf.LlavaConfig(
        vision_config=tf.CLIPVisionConfig(hidden_size=16, intermediate_size=24, num_hidden_layers=4, num_attention_heads=2,
                                          image_size=24, patch_size=4, hidden_act="quick_gelu"),
        text_config=tf.LlamaConfig(**text), attn_implementation="eager")
    model = randomise(tf.LlavaForConditionalGeneration(config), 103).half().float()
    llm = model.model.language_model
    llm.rotary_emb = type(llm.rotary_emb)(llm.config)  # rounding weights rounded its frequencies, too
    images = tf.CLIPImageProcessorPil(size=dict(shortest_edge=24), crop_size=dict(height=24, width=24))
    film = [picture(30, 40 + 2 * i)[:, i:i + 40] for i in range(3)]
    pixels = torch.cat([images(frame, return_tensors="pt")["pixel_values"] for frame in film])
    keep, embed = 0.3, model.get_input_embeddings()
    pieces = ("USER: " + " ".join(["<image>"] * 3) + "\nWhat is shown? ASSISTANT:").split("<image>")
    ids = [torch.tensor(fast.encode(piece, add_special_tokens=i == 0)) for i, piece in enumerate(pieces)]
    with torch.inference_mode():
        features = model.model.multi_modal_projector(clip_features(model.model.vision_tower, pixels, keep, False))
        rows = [embed(ids[0])]
        for frame, following in zip(features, ids[1:]):
            rows += [frame, embed(following)]
        logits, said = answer_after(llm, model.lm_head, torch.cat(rows).unsqueeze(0))
    folder = HERE / "tiny_auroracap"
    shutil.rmtree(folder, ignore_errors=True)
    for part in (model.half(), images, fast):
        part.save_pretrained(folder)
    as_xtuner(folder, keep)
    save_file(dict(film=torch.from_numpy(np.stack(film)), features=features.flatten(0, 1).contiguous(), input_ids=torch.cat(ids),
                   last_logits=logits[0, -1].contiguous(), greedy_ids=said[0]), str(HERE / "tiny_auroracap.safetensors"))


def onevision():
    """Pictures of several shapes, so that tiles are padded on either side, and shrunk where there are many."""
    t = tokenizer("smollm", ["<image>", "<video>"], ["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    fast = tf.PreTrainedTokenizerFast(tokenizer_object=t, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    sides = [32, 64, 96]
    sizes = [[a, b] for a in sides for b in sides]
    config = tf.LlavaOnevisionConfig(
        vision_config=tf.SiglipVisionConfig(hidden_size=24, intermediate_size=32, num_hidden_layers=2,
                                            num_attention_heads=2, image_size=32, patch_size=8, vision_use_head=False),
        text_config=tf.Qwen2Config(**dict(text_config(t.get_vocab_size()), model_type="qwen2")),
        image_token_index=t.token_to_id("<image>"), video_token_index=t.token_to_id("<video>"),
        image_grid_pinpoints=sizes, vision_aspect_ratio="anyres_max_4", attn_implementation="eager")
    model = randomise(tf.LlavaOnevisionForConditionalGeneration(config), 3)
    images = tf.LlavaOnevisionImageProcessorPil(size=dict(height=32, width=32), image_grid_pinpoints=sizes,
                                                image_mean=[0.5] * 3, image_std=[0.5] * 3)
    processor = tf.LlavaOnevisionProcessor(
        images, fast, tf.LlavaOnevisionVideoProcessor(size=dict(height=32, width=32)), num_image_tokens=16,
        vision_feature_select_strategy="full", chat_template=ONEVISION_TEMPLATE, vision_aspect_ratio="anyres_max_4")
    kept = {}
    for i, (height, width) in enumerate([(45, 70), (20, 96), (90, 30), (95, 96), (30, 31)]):
        kept[f"picture_{i}"] = image = picture(height, width)
        inputs = processor(text=prompt_of(processor), images=[image], return_tensors="pt")
        with torch.inference_mode():
            features = model.model.get_image_features(inputs["pixel_values"], inputs["image_sizes"],
                                                      vision_aspect_ratio="anyres_max_4").pooler_output[0]
        kept[f"features_{i}"] = features
        if i == 0:
            write("tiny_onevision", model, processor, image, inputs, features)
    film = np.stack([picture(32, 32), picture(32, 32)[::-1]])
    pixels = torch.from_numpy(film.astype(np.float32) / 127.5 - 1).permute(0, 3, 1, 2).unsqueeze(0)
    with torch.inference_mode():
        pooled = model.model.get_video_features(pixels).pooler_output[0]
    kept["film"] = film
    kept["film_features"] = torch.cat([pooled, model.model.image_newline.detach().unsqueeze(0)])
    save_file({k: torch.as_tensor(v).contiguous() for k, v in kept.items()}, str(HERE / "onevision_pictures.safetensors"))


def vlora():
    """A picture that is worn. Its prompt is Vicuna's, in two parts around the picture; no file says so."""
    t = tokenizer("llama", ["<pad>"], ["<unk>", "<s>", "</s>"])
    fast = tf.PreTrainedTokenizerFast(tokenizer_object=t, bos_token="<s>", eos_token="</s>", pad_token="<pad>",
                                      unk_token="<unk>")
    text = tf.LlamaForCausalLM(tf.LlamaConfig(**text_config(t.get_vocab_size()), attn_implementation="eager"))
    sight = tf.CLIPVisionConfig(hidden_size=24, intermediate_size=32, num_hidden_layers=3, num_attention_heads=2,
                                image_size=32, patch_size=8, attn_implementation="eager")
    tower = tf.CLIPVisionModel(sight)
    generator = Vlora(16, 1, 24, 16, 32, 2, 4, 8, 2)
    parts = randomise(torch.nn.ModuleDict(dict(text=text, tower=tower, generator=generator)), 14)
    with torch.no_grad():
        for weight in parts.parameters():
            weight.copy_(weight.bfloat16())  # as they are stored
    processor = tf.CLIPImageProcessorPil(size=dict(shortest_edge=32), crop_size=dict(height=32, width=32))
    image = picture(45, 70)
    square = np.full((70, 70, 3), [int(x * 255) for x in processor.image_mean], np.uint8)
    square[12:57] = image
    before = ("A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, "
              "detailed, and polite answers to the user's questions. USER: ")
    after = f"\n{QUESTION.replace(' <image>', '')} ASSISTANT:"
    first, last = fast(before)["input_ids"], fast(after)["input_ids"][1:]  # one begins the whole
    ids = torch.tensor(first + [0] + last)
    with torch.no_grad():
        pixels = torch.as_tensor(processor(square, return_tensors="np")["pixel_values"])
        features = tower(pixel_values=pixels, output_hidden_states=True).hidden_states[-2][0, 1:]
        logits, greedy = read(text, ids, len(first), 8, generator(features, 16))
        plain = text.generate(input_ids=torch.tensor([first + last]), max_new_tokens=8, do_sample=False, eos_token_id=None,
                              pad_token_id=0)[0, -8:]
    assert not torch.equal(plain, greedy[0]), "the picture must matter"
    folder = HERE / "tiny_vlora"
    Whole(text, tower, generator, processor, True, torch.bfloat16, image_aspect_ratio="pad").save_pretrained(folder)
    fast.save_pretrained(folder)
    (HERE / "tiny_vlora.txt").write_text(fast.decode(greedy[0], skip_special_tokens=True))
    save_file(dict(picture=torch.from_numpy(image), input_ids=torch.tensor(first + last), features=features.contiguous(),
                   last_logits=logits[0, -1].contiguous(), greedy_ids=greedy[0]), str(HERE / "tiny_vlora.safetensors"))


def main():
    torch.manual_seed(0)
    smolvlm()
    llava()
    onevision()
    vlora()
    auroracap()


if __name__ == "__main__":
    main()

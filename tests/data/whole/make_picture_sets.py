"""Writes tiny models that read several pictures at once, Idefics2's and LEOPARD's, and what the reference makes of one picture and
of two: features, prompt ids, logits, greedy ids.

Run from the repository's root with what make_whole.py needs: make_picture_sets.py
"""
import json
import sys
from pathlib import Path

import torch
import transformers as tf
from PIL import Image
from safetensors.torch import load_file, save_file

from make_whole import HERE, QUESTION, picture, prompt_of, randomise, text_config, tokenizer, write

sys.path.insert(0, str(Path("tests/reference")))
import leopard  # noqa: E402

IDEFICS2_TEMPLATE = """{% for message in messages %}{{ message['role'].capitalize() }}
{%- if message['content'][0]['type'] == 'image' %}:{% else %}: {% endif %}
{%- for line in message['content'] %}
{%- if line['type'] == 'text' %}{{ line['text'] }}{% elif line['type'] == 'image' %}<image>{% endif %}
{%- endfor %}<end_of_utterance>\\n
{%- endfor %}
{%- if add_generation_prompt %}Assistant:{% endif %}"""
QUESTION = QUESTION.replace(" <image>", "")
EYES = dict(hidden_size=24, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, patch_size=8)


def rounded(model):
    """Weights as their file of half the size holds them. A model's own conversion would round frequencies, too."""
    with torch.no_grad():
        for weight in model.parameters():
            weight.copy_(weight.to(torch.bfloat16))
    return model


def shrink(name):
    """Stores a saved model's weights, which were rounded before, in two bytes each."""
    path = HERE / name
    tf_config = json.loads((path / "config.json").read_text())
    save_file({k: v.to(torch.bfloat16) for k, v in load_file(str(path / "model.safetensors")).items()},
              str(path / "model.safetensors"), metadata=dict(format="pt"))
    tf_config["dtype"] = "bfloat16"
    (path / "config.json").write_text(json.dumps(tf_config, indent=2) + "\n")


def add(name, **more):
    path = str(HERE / f"{name}.safetensors")
    kept = load_file(path)
    kept.pop("pixel_values")
    save_file(dict(kept, **{k: v.contiguous() for k, v in more.items()}), path)


def idefics2():
    t = tokenizer("llama", ["<fake_token_around_image>", "<image>", "<end_of_utterance>"], ["<unk>", "<s>", "</s>"])
    fast = tf.PreTrainedTokenizerFast(tokenizer_object=t, bos_token="<s>", eos_token="</s>", pad_token="<unk>", unk_token="<unk>")
    config = tf.Idefics2Config(
        vision_config=dict(EYES, image_size=48),
        perceiver_config=dict(resampler_n_latents=4, resampler_depth=2, resampler_n_heads=4, resampler_head_dim=8,
                              num_key_value_heads=2, hidden_size=32),
        text_config=tf.MistralConfig(**dict(text_config(t.get_vocab_size()), model_type="mistral")),
        image_token_id=t.token_to_id("<image>"), tie_word_embeddings=False, attn_implementation="eager")
    model = rounded(randomise(tf.Idefics2ForConditionalGeneration(config), 4))
    images = tf.Idefics2ImageProcessorPil(size=dict(shortest_edge=16, longest_edge=48), do_image_splitting=True)
    processor = tf.Idefics2Processor(images, fast, image_seq_len=4, chat_template=IDEFICS2_TEMPLATE)
    image = picture(45, 70)
    inputs = processor(text=prompt_of(processor), images=[Image.fromarray(image)], return_tensors="pt")
    inputs["pixel_values"] = inputs["pixel_values"].float()
    seen = dict(pixel_values=inputs["pixel_values"], pixel_attention_mask=inputs["pixel_attention_mask"])
    with torch.inference_mode():
        features = model.model.get_image_features(**seen).pooler_output
    write("tiny_idefics2", model, processor, image, inputs, features)
    shrink("tiny_idefics2")
    (HERE / "tiny_idefics2.txt").unlink()
    other = picture(30, 31)
    both = processor(text=prompt_of(processor, 2), images=[Image.fromarray(image), Image.fromarray(other)], return_tensors="pt")
    with torch.inference_mode():
        features = model.model.get_image_features(both["pixel_values"].float(), both["pixel_attention_mask"]).pooler_output
    add("tiny_idefics2", other_picture=torch.from_numpy(other), set_features=features, set_input_ids=both["input_ids"][0])


def leopard_llava():
    """Without an image processor or a chat template beside it: both are the family's."""
    reserved = [f"<|reserved_special_token_{i}|>" for i in (20, 21, 22, 195)]
    t = tokenizer("smollm", ["<|start_header_id|>", "<|end_header_id|>"] + reserved, ["<|begin_of_text|>", "<|end_of_text|>", "<|eot_id|>"])
    fast = tf.PreTrainedTokenizerFast(tokenizer_object=t, bos_token="<|begin_of_text|>", eos_token="<|eot_id|>")
    config = tf.LlavaConfig(vision_config=tf.SiglipVisionConfig(**EYES, image_size=32), text_config=tf.LlamaConfig(**text_config(t.get_vocab_size())),
                            image_token_index=t.token_to_id(reserved[3]), attn_implementation="eager")
    config.tile_budget = 6
    model = leopard.make_leopard(tf.LlavaForConditionalGeneration(config))
    model = rounded(randomise(model, 5))
    processor = tf.SiglipImageProcessorPil(size=dict(height=32, width=32))

    def seen(*images):
        """Pixels, and tiles of each picture."""
        images = [Image.fromarray(i) for i in images]
        counts = [1 + (0 if c is None else c.size[0] * c.size[1] // 32 ** 2) for c, _ in leopard.canvases(images, 32, config.tile_budget)]
        return processor(list(leopard.tiles(images, 32, config.tile_budget)), return_tensors="pt")["pixel_values"], counts

    def ids(counts):
        blocks = "".join(f"image {i + 1}: {reserved[0]}{reserved[3] * (4 * n)}{reserved[1]}" for i, n in enumerate(counts))
        text = (f"<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\n{blocks}{QUESTION}<|eot_id|>"
                "<|start_header_id|>assistant<|end_header_id|>\n\n")
        return torch.tensor([fast(text, add_special_tokens=False)["input_ids"]])

    first, other = picture(45, 70), picture(60, 31)
    pixels, counts = seen(first)
    both, both_counts = seen(first, other)
    inputs = dict(input_ids=ids(counts), pixel_values=pixels)
    inputs["attention_mask"] = torch.ones_like(inputs["input_ids"])  # generate() would take the first id for padding
    length = inputs["input_ids"].shape[1]
    with torch.inference_mode():
        features = torch.cat(model.model.get_image_features(pixels).pooler_output)
        set_features = torch.cat(model.model.get_image_features(both).pooler_output)
        logits = model(**inputs).logits
        greedy = model.generate(**inputs, max_new_tokens=8, do_sample=False, eos_token_id=None, pad_token_id=0)
    folder = HERE / "tiny_leopard"
    model.to(torch.bfloat16).save_pretrained(folder)
    fast.save_pretrained(folder)
    save_file(dict(picture=torch.from_numpy(first), other_picture=torch.from_numpy(other), input_ids=inputs["input_ids"][0].contiguous(),
                   features=features.contiguous(), set_features=set_features.contiguous(), set_input_ids=ids(both_counts)[0].contiguous(),
                   last_logits=logits[0, -1].contiguous(), greedy_ids=greedy[0, length:].contiguous()), str(HERE / "tiny_leopard.safetensors"))


def main():
    torch.manual_seed(0)
    idefics2()
    leopard_llava()


if __name__ == "__main__":
    main()

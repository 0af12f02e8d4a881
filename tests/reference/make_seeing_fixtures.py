"""Makes parity fixtures of whole models that see, from pictures and films to answers, that the reference's own script leaves out.

  python tests/reference/make_seeing_fixtures.py OUT [--seed N] [--only NAME ...]

Needs numpy, torch 2.11.0, torchvision, transformers 5.17.0 and safetensors. A fixture is a folder as `longview parity` reads it:
model/ with its processor, inputs.safetensors (picture_0, ... or film, uint8, and input_ids), expected.safetensors, about.json.
seeds.py runs it over several seeds."""
import copy

import numpy as np
import torch
import transformers as tf
from PIL import Image

import auroracap as aurora
import leopard
from fixtures import RANDOM, draw_ids, give_weights, main, write
from token_merging import clip_features
from vlora import Vlora, Whole, read


def picture(height, width):
    """Smooth parts, edges and noise."""
    g = np.random.default_rng(RANDOM.randrange(2**31))
    y, x = np.mgrid[0:height, 0:width]
    p = np.stack([127 + 120 * np.sin(x / g.uniform(4, 40) + y / g.uniform(4, 40) + k) for k in range(3)], -1)
    p[height // 3:height // 2, width // 4:width // 2] = g.integers(0, 255, 3)
    return np.clip(p + g.normal(0, 8, p.shape), 0, 255).astype(np.uint8)


def pictures(*sides):
    return [picture(RANDOM.choice(sides), RANDOM.choice(sides)) for _ in range(2)]


def film():
    return [picture(48, 80) for _ in range(3)]


def sizes():
    heads = RANDOM.choice([4, 6])
    return dict(hidden_size=16 * heads, intermediate_size=RANDOM.choice([96, 144]), num_hidden_layers=2,
                num_attention_heads=heads, num_key_value_heads=2, vocab_size=RANDOM.choice([211, 307]),
                max_position_embeddings=2048)


def eyes():
    heads = RANDOM.choice([3, 4])
    return dict(hidden_size=16 * heads, intermediate_size=RANDOM.choice([96, 160]), num_hidden_layers=3,
                num_attention_heads=heads, image_size=32, patch_size=8)


def fixture(folder, model, processor, seen, features_of, run, opening=()):
    """`features_of(model)` are all visual rows; `run` are the model's other inputs. The visual token is the last id, and
    `opening` are ids right before the first."""
    model, stored = give_weights(model)
    for module in model.modules():
        if type(module).__name__ == "Qwen2_5_VLVisionRotaryEmbedding":  # rounding weights rounded its frequencies, too
            module.inv_freq = module.compute_axial_rope_parameters(module.config)[0]
    vocabulary = model.config.get_text_config().vocab_size
    words = draw_ids(3, vocabulary - 2, 12)  # no token that stands for pictures or films
    with torch.inference_mode():
        features = features_of(model)
        ids = torch.cat([words[:5], torch.tensor(opening, dtype=torch.long),
                         torch.full((features.shape[0],), vocabulary - 1), words[5:]]).unsqueeze(0)
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), **run).logits
        said = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), **run, max_new_tokens=12, do_sample=False,
                              eos_token_id=None, pad_token_id=0)[:, ids.shape[1]:]
    write(folder, "seeing", [model.to(stored), processor], dict(seen, input_ids=ids),
          dict(image_features=features, logits=logits, greedy_ids=said))


def stills(images):
    return {f"picture_{i}": torch.from_numpy(image) for i, image in enumerate(images)}


def frames(images):
    return {"film": torch.from_numpy(np.stack(images))}


def smolvlm(folder, images, splits):
    text = sizes()
    config = tf.SmolVLMConfig(vision_config=dict(eyes(), model_type="smolvlm_vision"), text_config=tf.LlamaConfig(**text),
                              image_token_id=text["vocab_size"] - 1, scale_factor=RANDOM.choice([2, 4]),
                              tie_word_embeddings=False, attn_implementation="eager")
    whole = tf.SmolVLMImageProcessorPil(size=dict(longest_edge=RANDOM.choice([64, 96])), max_image_size=dict(longest_edge=32))
    # A film's frames are brought to a tile's size and not cut.
    used = whole if splits else tf.SmolVLMImageProcessorPil(size=dict(longest_edge=32), max_image_size=dict(longest_edge=32),
                                                            do_image_splitting=False)
    tiles = [torch.as_tensor(used(image, return_tensors="np")["pixel_values"][0]) for image in images]
    pixels = torch.cat(tiles).unsqueeze(0)
    fixture(folder, tf.SmolVLMForConditionalGeneration(config), whole, stills(images) if splits else frames(images),
            lambda m: m.model.get_image_features(pixels).pooler_output.flatten(0, 1), dict(pixel_values=pixels))


def llava(folder, tower, images, squares=False, **choice):
    text = sizes()
    config = tf.LlavaConfig(vision_config=tower(**eyes()), text_config=tf.LlamaConfig(**text),
                            image_token_index=text["vocab_size"] - 1, attn_implementation="eager", **choice)
    side = dict(height=32, width=32)
    processor = (tf.SiglipImageProcessorPil(size=side) if tower is tf.SiglipVisionConfig else
                 tf.LlavaImageProcessorPil(size=dict(shortest_edge=32), crop_size=side, do_pad=True) if squares else
                 tf.CLIPImageProcessorPil(size=dict(shortest_edge=32), crop_size=side))
    pixels = torch.cat([processor(image, return_tensors="pt")["pixel_values"] for image in images])
    fixture(folder, tf.LlavaForConditionalGeneration(config), processor, stills(images),
            lambda m: torch.cat(list(m.model.get_image_features(pixels).pooler_output)), dict(pixel_values=pixels))


def onevision(folder, images, is_film):
    text = sizes()
    marks = dict(image_token_index=text["vocab_size"] - 2, video_token_index=text["vocab_size"] - 1)
    if not is_film:
        marks = dict(image_token_index=text["vocab_size"] - 1, video_token_index=text["vocab_size"] - 2)
    grid = [[32 * a, 32 * b] for a in (1, 2, 3) for b in (1, 2, 3)]
    rule = RANDOM.choice(["anyres_max_4", "anyres_max_9"])
    config = tf.LlavaOnevisionConfig(
        vision_config=tf.SiglipVisionConfig(**eyes(), vision_use_head=False), text_config=tf.Qwen2Config(**text),
        image_grid_pinpoints=grid, vision_aspect_ratio=rule, attn_implementation="eager", **marks)
    processor = tf.LlavaOnevisionImageProcessorPil(size=dict(height=32, width=32), image_grid_pinpoints=grid)
    model = tf.LlavaOnevisionForConditionalGeneration(config)
    if is_film:
        # Each frame as a single tile, resampled as a still is.
        pixels = torch.cat([torch.as_tensor(processor(image, return_tensors="np")["pixel_values"][0][:1]) for image in images])
        pixels = pixels.unsqueeze(0)
        fixture(folder, model, processor, frames(images),
                lambda m: torch.cat([m.model.get_video_features(pixels).pooler_output[0], m.model.image_newline.unsqueeze(0)]),
                dict(pixel_values_videos=pixels))
        return
    # One picture: with several, the reference cuts none of them.
    inputs = processor(images[0], return_tensors="pt")
    fixture(folder, model, processor, stills(images[:1]),
            lambda m: m.model.get_image_features(inputs["pixel_values"], inputs["image_sizes"],
                                                 vision_aspect_ratio=rule).pooler_output[0],
            dict(pixel_values=inputs["pixel_values"], image_sizes=inputs["image_sizes"], vision_aspect_ratio=rule))


def onevision_set(folder, images):
    """Several pictures of one prompt, none of which is cut."""
    text = sizes()
    config = tf.LlavaOnevisionConfig(
        vision_config=tf.SiglipVisionConfig(**eyes(), vision_use_head=False), text_config=tf.Qwen2Config(**text),
        image_grid_pinpoints=[[32, 64], [64, 64]], image_token_index=text["vocab_size"] - 1,
        video_token_index=text["vocab_size"] - 2, attn_implementation="eager")
    processor = tf.LlavaOnevisionImageProcessorPil(size=dict(height=32, width=32), image_grid_pinpoints=config.image_grid_pinpoints)
    inputs = dict(processor([images], return_tensors="pt"))
    fixture(folder, tf.LlavaOnevisionForConditionalGeneration(config), processor, stills(images),
            lambda m: torch.cat(list(m.model.get_image_features(**inputs).pooler_output)), inputs)


def idefics2(folder, images, splits):
    text = dict(sizes(), sliding_window=None)
    resampler = dict(resampler_n_latents=RANDOM.choice([5, 8]), resampler_depth=2, resampler_n_heads=4, resampler_head_dim=12,
                     num_key_value_heads=RANDOM.choice([1, 2, 4]), hidden_size=text["hidden_size"])
    config = tf.Idefics2Config(vision_config=dict(eyes(), image_size=64), perceiver_config=resampler,
                               text_config=tf.MistralConfig(**text), image_token_id=text["vocab_size"] - 1,
                               attn_implementation="eager")
    processor = tf.Idefics2ImageProcessorPil(size=dict(shortest_edge=RANDOM.choice([16, 24]), longest_edge=RANDOM.choice([56, 64])),
                                             do_image_splitting=splits)
    inputs = processor([images], return_tensors="pt")
    run = dict(pixel_values=inputs["pixel_values"].float(), pixel_attention_mask=inputs["pixel_attention_mask"])
    fixture(folder, tf.Idefics2ForConditionalGeneration(config), processor, stills(images),
            lambda m: m.model.get_image_features(**run).pooler_output, run)


def leopard_llava(folder, images):
    text = sizes()
    config = tf.LlavaConfig(vision_config=tf.SiglipVisionConfig(**eyes()), text_config=tf.LlamaConfig(**text),
                            image_token_index=text["vocab_size"] - 1, attn_implementation="eager")
    config.tile_budget = RANDOM.choice([7, 11, 50])
    processor = tf.SiglipImageProcessorPil(size=dict(height=32, width=32))
    cut = list(leopard.tiles([Image.fromarray(image) for image in images], 32, config.tile_budget))
    pixels = torch.as_tensor(processor(cut, return_tensors="np")["pixel_values"])
    fixture(folder, leopard.make_leopard(tf.LlavaForConditionalGeneration(config)), processor, stills(images),
            lambda m: torch.cat(m.model.get_image_features(pixels).pooler_output), dict(pixel_values=pixels))


def qwen2_5_vl(folder, image, images=None):
    """`images`: the frames of a film, one a second, instead of `image`."""
    text = sizes()
    last = text["vocab_size"] - 1
    half = text["hidden_size"] // text["num_attention_heads"] // 2
    text["rope_parameters"] = dict(rope_type="default", rope_theta=1e4, mrope_section=[half - 2 * (half // 3), half // 3, half // 3])
    sight = dict(depth=3, hidden_size=32, intermediate_size=48, num_heads=2, patch_size=8, spatial_merge_size=2,
                 temporal_patch_size=2, window_size=32, out_hidden_size=text["hidden_size"], fullatt_block_indexes=[1])
    if images:
        sight["tokens_per_second"] = RANDOM.choice([2, 4])
    config = tf.Qwen2_5_VLConfig(vision_config=sight, text_config=text, image_token_id=last - bool(images),
                                 video_token_id=last - (not images),
                                 vision_start_token_id=1, vision_end_token_id=2, attn_implementation="eager")
    processor = tf.Qwen2VLImageProcessorPil(patch_size=8, min_pixels=1024, max_pixels=RANDOM.choice([4096, 8192]))
    if images:
        qwen2_5_vl_film(folder, config, processor, images)
        return
    inputs = processor(image, return_tensors="pt")
    pixels, grid = torch.as_tensor(inputs["pixel_values"]), torch.as_tensor(inputs["image_grid_thw"])
    visual = int(grid.prod()) // 4
    kinds = torch.tensor([[0] * 6 + [1] * visual + [0] * 7], dtype=torch.int)
    fixture(folder, tf.Qwen2_5_VLForConditionalGeneration(config), processor, stills([image]),
            lambda m: torch.cat(list(m.model.get_image_features(pixels, grid).pooler_output)),
            dict(pixel_values=pixels, image_grid_thw=grid, mm_token_type_ids=kinds), opening=[1])


def on_square(image, mean):
    """In the middle of a square of the mean colour."""
    height, width = image.shape[:2]
    side = max(height, width)
    square = np.full((side, side, 3), [int(x * 255) for x in mean], np.uint8)
    top, left = (side - height) // 2, (side - width) // 2
    square[top:top + height, left:left + width] = image
    return square


def vlora(folder, image, **choice):
    """`input_ids` have -200 in the picture's place."""
    text, sight = dict(sizes(), num_hidden_layers=4), eyes()
    model = tf.LlamaForCausalLM(tf.LlamaConfig(**text, attn_implementation="eager"))
    generator = Vlora(RANDOM.choice([16, 32]), RANDOM.choice([1, 2]), sight["hidden_size"], 16, text["hidden_size"], 4,
                      RANDOM.choice([2, 4]), RANDOM.choice([4, 6]), RANDOM.choice([1, 2, 4]), **choice)
    tower = tf.CLIPVisionModel(tf.CLIPVisionConfig(**sight, attn_implementation="eager"))
    parts, stored = give_weights(torch.nn.ModuleDict(dict(text=model, generator=generator, tower=tower)))
    processor = tf.CLIPImageProcessorPil(size=dict(shortest_edge=32), crop_size=dict(height=32, width=32))
    pads = RANDOM.choice([True, False])
    seen = on_square(image, processor.image_mean) if pads else image
    ids = draw_ids(3, text["vocab_size"], 12)
    place = RANDOM.randrange(1, 11)
    with torch.no_grad():
        pixels = torch.as_tensor(processor(seen, return_tensors="np")["pixel_values"])
        features = tower(pixel_values=pixels, output_hidden_states=True).hidden_states[-2][:, 1:]
        worn = generator(features[0], text["num_key_value_heads"] * 16)
        logits, said = read(model, ids, place, 12, worn)
    ids[place] = -200
    whole = Whole(model, tower, generator, processor, RANDOM.choice([True, False]), stored,
                  image_aspect_ratio="pad" if pads else "square")
    factors = torch.stack([a.T for a, _ in worn.values()])
    write(folder, "vlora", [whole], dict(picture_0=torch.from_numpy(image), input_ids=ids.unsqueeze(0)),
          dict(image_features=features[0], factors=factors, logits=logits, greedy_ids=said))


def auroracap(folder, images, by_size, xtuner):
    """CLIP, a projector and Llama, between whose encoder's layers tokens merge. `xtuner`: in three folders, as the release is."""
    text = dict(sizes(), rope_parameters=dict(rope_type="linear", rope_theta=1e4, factor=4.0))
    tower = dict(eyes(), image_size=48, num_hidden_layers=4, hidden_act="quick_gelu", model_type="clip_vision_model")
    config = tf.LlavaConfig(vision_config=tower, text_config=tf.LlamaConfig(**text), image_token_index=text["vocab_size"] - 1,
                            attn_implementation="eager")
    processor = tf.CLIPImageProcessorPil(size=dict(shortest_edge=48), crop_size=dict(height=48, width=48))
    model, stored = give_weights(tf.LlavaForConditionalGeneration(config))
    keep = RANDOM.choice([0.8, 0.5, 0.3, 0.1])
    pixels = torch.cat([processor(image, return_tensors="pt")["pixel_values"] for image in images])
    words = draw_ids(3, text["vocab_size"] - 2, 12)

    def run(model, dtype):
        llm, projector, embed = model.model.language_model, model.model.multi_modal_projector, model.get_input_embeddings()
        with torch.inference_mode():
            features = projector(clip_features(model.model.vision_tower, pixels.to(dtype), keep, by_size)).flatten(0, 1)
            rows = torch.cat([embed(words[:5]), features, embed(words[5:])]).unsqueeze(0)
            return (features, *aurora.answer_after(llm, model.lm_head, rows))

    features, logits, said = run(model, torch.float32)
    rounded = run(copy.deepcopy(model).to(torch.bfloat16), torch.bfloat16)  # whose keys may choose other pairs
    mark = -200 if xtuner else text["vocab_size"] - 1
    ids = torch.cat([words[:5], torch.full((len(features),), mark), words[5:]]).unsqueeze(0)
    write(folder, "auroracap", [model.to(stored), processor],
          dict(frames(images), input_ids=ids, by_size=torch.tensor([by_size])),
          dict(image_features=features, logits=logits, greedy_ids=said), dict(image_features=rounded[0], logits=rounded[1]))
    (aurora.as_xtuner if xtuner else aurora.as_whole)(folder / "model", keep)


def qwen2_5_vl_film(folder, config, processor, images):
    """Frames in pairs, the last twice if it is alone, each resampled as a picture is but to the video processor's sizes."""
    side = processor.patch_size * processor.merge_size
    sizes = dict(min_pixels=128 * side**2, max_pixels=768 * side**2)
    seen = [processor(image, return_tensors="pt", **sizes) for image in images]
    # Patches [N, 3, T, S, S] of a picture show it at every moment.
    moments = [torch.as_tensor(each["pixel_values"]).unflatten(1, (3, 2, 8, 8))[:, :, 0] for each in seen]
    moments += moments[-1:] * (len(moments) % 2)
    pixels = torch.cat([torch.stack(pair, 2).flatten(1) for pair in zip(moments[::2], moments[1::2])])
    grid = torch.as_tensor(seen[0]["image_grid_thw"]).clone()
    grid[0, 0] = len(moments) // 2
    visual = int(grid.prod()) // 4
    kinds = torch.tensor([[0] * 6 + [2] * visual + [0] * 7], dtype=torch.int)
    fixture(folder, tf.Qwen2_5_VLForConditionalGeneration(config), processor, frames(images),
            lambda m: torch.cat(list(m.model.get_video_features(pixels, grid).pooler_output)),
            dict(pixel_values_videos=pixels, video_grid_thw=grid, mm_token_type_ids=kinds,
                 second_per_grid_ts=torch.tensor([2.0])), opening=[1])


def siglip2(folder, images):
    """Pictures of several shapes in one batch: the reference pads each to the most patches and masks what it padded."""
    heads, patch = RANDOM.choice([2, 4]), RANDOM.choice([4, 8])
    config = tf.Siglip2VisionConfig(hidden_size=16 * heads, intermediate_size=RANDOM.choice([48, 96]), num_hidden_layers=3,
                                    num_attention_heads=heads, patch_size=patch, num_patches=RANDOM.choice([16, 25, 49]),
                                    vision_use_head=False, attn_implementation="eager")
    model, stored = give_weights(tf.Siglip2VisionModel(config))
    processor = tf.Siglip2ImageProcessorPil(patch_size=patch, max_num_patches=RANDOM.choice([20, 64]))
    inputs = processor(images, return_tensors="pt")
    with torch.inference_mode():
        seen = model(**inputs).last_hidden_state
    counts = inputs["spatial_shapes"].prod(-1).tolist()
    write(folder, "siglip2_vision_model", [model.to(stored), processor], stills(images),
          {f"features_{i}": rows[:count] for i, (rows, count) in enumerate(zip(seen, counts))})


FIXTURES = dict(
    siglip2=lambda f: siglip2(f, pictures(40, 64, 90, 130) + pictures(17, 200)),
    auroracap_release=lambda f: auroracap(f, film(), False, True),
    auroracap_by_size=lambda f: auroracap(f, film(), True, False),
    idefics2_pictures=lambda f: idefics2(f, pictures(40, 64, 90), False),
    idefics2_quarters=lambda f: idefics2(f, pictures(40, 63, 90, 130), True),
    leopard_pictures=lambda f: leopard_llava(f, pictures(40, 64, 90, 130) + pictures(33, 100)),
    llava_squares=lambda f: llava(f, tf.CLIPVisionConfig, pictures(40, 64, 90), squares=True),
    onevision_set=lambda f: onevision_set(f, pictures(40, 64, 90)),
    vlora=lambda f: vlora(f, pictures(40, 64, 90)[0]),
    vlora_shared=lambda f: vlora(f, pictures(40, 64)[0], separate=False, kinds=RANDOM.choice(["qkvom", "mv", "oq"])),
    qwen2_5_vl_film=lambda f: qwen2_5_vl(f, None, [picture(90, 130) for _ in range(RANDOM.choice([4, 5, 7]))]),
    qwen2_5_vl_picture=lambda f: qwen2_5_vl(f, picture(RANDOM.choice([40, 90]), RANDOM.choice([64, 130]))),
    smolvlm_pictures=lambda f: smolvlm(f, pictures(40, 64, 90, 130), True),
    smolvlm_film=lambda f: smolvlm(f, film(), False),
    llava_pictures=lambda f: llava(f, tf.CLIPVisionConfig, pictures(40, 64, 90)),
    llava_class_token=lambda f: llava(f, tf.CLIPVisionConfig, pictures(40, 64), vision_feature_select_strategy="full"),
    llava_two_layers=lambda f: llava(f, tf.SiglipVisionConfig, pictures(40, 64), vision_feature_select_strategy="full",
                                     vision_feature_layer=[-2, -1]),
    onevision_picture=lambda f: onevision(f, pictures(40, 64, 90, 130), False),
    onevision_film=lambda f: onevision(f, film(), True))

if __name__ == "__main__":
    main(FIXTURES, __doc__)

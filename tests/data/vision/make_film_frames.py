"""Frames that the reference takes of films, and the prompts that it writes: film_frames.json.

    python make_film_frames.py        (transformers 5.17.0, torchvision 0.26.0, num2words 0.5.14)

`frames`: by rule, [frames of the film, frames a second, indices taken].
`qwen_sizes`: [frames of the film, height, width, height and width that a frame gets].
`prompts`: of tests/data/whole/tiny_smolvlm, [seconds of each frame, seconds of the film, ids].
"""
import json
from pathlib import Path

import torch
import transformers as tf
from transformers.video_utils import VideoMetadata

HERE = Path(__file__).parent
QUESTION = "What is shown in 2 words?"


def smolvlm(total, fps):
    processor = tf.SmolVLMVideoProcessor(video_sampling=dict(fps=1, max_frames=64, video_size=dict(longest_edge=32)))
    metadata = VideoMetadata(total_num_frames=total, fps=fps, duration=total / fps)
    return [int(i) for i in processor.sample_frames(metadata)]


def qwen(total, fps):
    metadata = VideoMetadata(total_num_frames=total, fps=fps, duration=total / fps)
    return [int(i) for i in tf.Qwen2VLVideoProcessor().sample_frames(metadata, fps=2.0)]


def qwen_size(frames, height, width):
    """Within 2000 tokens a film, with patches of 2 that are merged two by two."""
    processor = tf.Qwen2VLVideoProcessor(size=dict(shortest_edge=128 * 16, longest_edge=768 * 16), patch_size=2, merge_size=2,
                                         cap_pixels_per_frame=True, max_video_tokens=2000)
    grid = processor(torch.zeros(frames, 3, height, width, dtype=torch.uint8), return_tensors="pt")["video_grid_thw"][0]
    return [2 * int(side) for side in grid[1:]]


def prompt(seconds, length):
    folder = HERE.parent / "whole" / "tiny_smolvlm"
    fast = tf.AutoTokenizer.from_pretrained(folder)
    images = tf.SmolVLMImageProcessorPil(size=dict(longest_edge=96), max_image_size=dict(longest_edge=32))
    films = tf.SmolVLMVideoProcessor(size=dict(longest_edge=32), max_image_size=dict(longest_edge=32))
    processor = tf.SmolVLMProcessor(images, fast, films, image_seq_len=4)
    content = [dict(type="video"), dict(type="text", text=QUESTION)]
    text = processor.apply_chat_template([dict(role="user", content=content)], add_generation_prompt=True)
    metadata = VideoMetadata(total_num_frames=round(length * 8), fps=8, duration=length, frames_indices=[round(s * 8) for s in seconds])
    frames = torch.zeros(len(seconds), 3, 32, 32, dtype=torch.uint8)
    inputs = processor(text=text, videos=[[frames]], video_metadata=[[metadata]], do_sample_frames=False, return_tensors="pt")
    ids = inputs["input_ids"][0]
    return [int(i) for i in ids]


def main():
    sizes = [(40, 25.0), (250, 25.0), (251, 25.0), (7, 24.0), (900, 29.97), (3000, 30.0), (2160, 24.0), (1, 25.0), (12000, 23.976)]
    frames = {rule.__name__: [[n, fps, rule(n, fps)] for n, fps in sizes if rule is smolvlm or n >= 4] for rule in (smolvlm, qwen)}
    films = [([0.0, 1.25, 2.5], 3.75), ([0.5 * i for i in range(21)], 11.0), ([0.0, 3700.5], 3725.0), ([float(i) for i in range(105)], 105.0)]
    prompts = [[seconds, length, prompt(seconds, length)] for seconds, length in films]
    sizes = [[n, *sides, *qwen_size(n, *sides)] for n in (1, 2, 4, 5, 7, 12, 26, 27, 28, 60) for sides in ((40, 64), (130, 90), (200, 260), (33, 400))]
    (HERE / "film_frames.json").write_text(json.dumps(dict(frames=frames, prompts=prompts, qwen_sizes=sizes)) + "\n")


if __name__ == "__main__":
    main()

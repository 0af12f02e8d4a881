"""Writes films.json: what the published code of FlashVID, HoliTom and DyCoke leaves of small films.

make_films.py FLASHVID HOLITOM DYCOKE: checkouts of Fanziyang-v/FlashVID at 1d37422, cokeshao/HoliTom at e9b2972,
KD-TAO/DyCoke at dd74634; torch 2.11. The noise that their clustering adds to break ties is left out. A case's
films are those of film_of() in tests/vision/compressors/small_clips.h. Rows are [place, first
feature, second feature]; HoliTom and DyCoke tell no places, so theirs are [first, second].
"""
import ast
import importlib.util
import json
import math
import os
import sys
import types
from abc import ABC
from pathlib import Path

import torch
import torch.nn as nn

torch.rand = lambda *a, **k: torch.zeros(*a, **k)
torch.rand_like = lambda x, **k: torch.zeros_like(x, **k)

# Their means count a tree's own children only, and a segment of one frame merges what it picked.
EXACT = [("aggregated_token_counts = assigned_one_hot.sum(dim=0)",
          "aggregated_token_counts = assigned_one_hot.t() @ frame_token_counts[mask[frame_idx]]"),
         ("temp_merged_token_list = [segment_features[0]]",
          "temp_merged_token_list = [segment_features[0][mask[0]]]"),
         ("temp_merged_global_indices_list = [segment_global_indices[0]]",
          "temp_merged_global_indices_list = [segment_global_indices[0][mask[0]]]")]
# Ties take the lower index.
TIES = [("torch.topk(score, k=num_clusters, dim=-1).indices",
         "score.sort(dim=-1, descending=True, stable=True).indices[..., :num_clusters]")]

# The same; and their share D of clusters fails on several frames.
HOLITOM = [("score.topk(cluster_num, dim=-1)",
            "(0, score.sort(dim=-1, descending=True, stable=True).indices[..., :cluster_num])"),
           ("contextual_pos = pos.masked_select(mask.unsqueeze(-1))", "contextual_pos = pos.masked_select(mask)")]


def lcg(seed, *shape):
    state, values = seed, []
    for _ in range(math.prod(shape)):
        state = (1664525 * state + 1013904223) % 2**32
        values.append(state / 2**31 - 1)
    return torch.tensor(values, dtype=torch.float64).to(torch.float32).view(shape)


def film_of(seed, frames, tokens, width, drift):
    half = torch.arange(frames) * 2 // frames
    return lcg(seed, 2, tokens, width)[half] + drift * lcg(seed + 1, frames, tokens, width)


def saliency_of(seed, frames, tokens):
    return (lcg(seed + 2, frames, tokens) + 1) / 2


def load(name, path, package=None, edits=()):
    text = Path(path).read_text()
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    module = types.ModuleType(name)
    module.__package__ = package
    sys.modules[name] = module
    exec(compile(text, path, "exec"), module.__dict__)
    return module


def definition(path, name, edits=(), **names):
    """One class or function of a file, without what else the file imports."""
    text = Path(path).read_text()
    for old, new in edits:
        assert old in text, old
        text = text.replace(old, new)
    node = next(n for n in ast.parse(text).body if getattr(n, "name", None) == name)
    space = dict(torch=torch, nn=nn, math=math, os=os, ABC=ABC, **names)
    exec(compile(ast.Module([node], []), path, "exec"), space)
    return space[name]


def flashvid(folder, edits, features, saliency, **options):
    for name in [n for n in sys.modules if n.startswith("flashvid")]:
        del sys.modules[name]
    package = types.ModuleType("flashvid")
    package.__path__ = []
    sys.modules["flashvid"] = package
    config = load("flashvid.configuration_flashvid", f"{folder}/flashvid/configuration_flashvid.py", "flashvid")
    load("flashvid.token_selection", f"{folder}/flashvid/token_selection.py", "flashvid")
    utils = load("flashvid.utils", f"{folder}/flashvid/utils.py", "flashvid", [*TIES, *edits])
    rows, index = utils.flashvid_compression(features.clone(), saliency, config.FlashVidConfig(**options))
    return [[int(i), *row[:2].tolist()] for i, row in zip(index, rows)]


def holitom(folder, features, attention, keep, tau, clustered=0.0, plain=False):
    os.environ["NO_BETA"] = "1" if plain else "0"
    model = definition(f"{folder}/holitom/llava_arch.py", "LlavaMetaForCausalLM_holitom", HOLITOM)()
    frames, tokens, _ = features.shape
    sim = torch.cosine_similarity(features[:-1], features[1:], dim=-1)
    windows, saved = model.select_static_windows(sim, frames, tau, 1024)
    keep = min(keep / ((frames * tokens - saved) / (frames * tokens)), 1)
    still, moving, _, attention, still_at, moving_at = model.get_static_dynamic_features(
        features, attention, windows, sim, tau)
    rows = []
    for i, (first, last) in enumerate(windows):
        if last > first:
            left, _ = model.merge_tokens_by_density(still[i].unsqueeze(0), still_at[i], keep, 0.6, 7)
            rows += left[0].tolist()
        left, at = model.merge_tokens_by_attention_density(
            moving[i], attention[i], moving_at[i], keep, clustered, 0.6, 7)
        for frame, places in zip(left, at):
            rows += frame[places.argsort()].tolist()
    return dict(windows=windows, saved=int(saved), rows=[row[:2] for row in rows])


def main():
    flash, holi, dycoke = sys.argv[1:]
    cases = []

    def add(method, params, seed, frames, tokens, width, drift, **more):
        cases.append(dict(method=method, params=params, seed=seed, frames=frames, tokens=tokens,
                          width=width, drift=drift, **more))

    shapes = [(31, 8, 25, 8, 0.2), (41, 6, 16, 5, 0.6), (51, 12, 9, 6, 0.3)]
    for seed, frames, tokens, width, drift in shapes:
        shape = (seed, frames, tokens, width, drift)
        x, a = film_of(*shape), saliency_of(seed, frames, tokens)
        for params, options, edits in [
                ("keep=0.25,expansion=1.25,min_segments=2,tree_average=reference",
                 dict(retention_ratio=0.25, min_segment_num=2), EXACT[1:]),
                ("keep=0.25,expansion=1.25,min_segments=2", dict(retention_ratio=0.25, min_segment_num=2), EXACT),
                ("keep=0.4,min_segments=2,temporal_threshold=0.95",
                 dict(retention_ratio=0.4, expansion=1.0, min_segment_num=2, temporal_threshold=0.95), EXACT),
                ("keep=0.3", dict(retention_ratio=0.3, expansion=1.0), EXACT),
                ("keep=0.3,min_segments=1,alpha=0.4,segment_threshold=-1,select=diversity",
                 dict(retention_ratio=0.3, expansion=1.0, min_segment_num=1, alpha=0.4, segment_threshold=-1,
                      token_selection_method="div"), EXACT),
                ("keep=0.5,min_segments=3,select=attention",
                 dict(retention_ratio=0.5, expansion=1.0, min_segment_num=3, token_selection_method="attn"), EXACT),
        ]:
            add("flashvid", params, *shape, rows=flashvid(flash, edits, x, a, **options))
        for params, options in [("keep=0.25", dict(keep=0.25, tau=0.8)),
                                ("keep=0.1", dict(keep=0.1, tau=0.65)),
                                ("keep=0.4,tau=0.9,clustered=0.5", dict(keep=0.4, tau=0.9, clustered=0.5)),
                                ("keep=0.4,clustered=1,average=mean",
                                 dict(keep=0.4, tau=0.8, clustered=1.0, plain=True))]:
            add("holitom", params, *shape, **holitom(holi, x, a, **options))
        thin = definition(f"{dycoke}/llava/model/llava_arch.py", "dycole_ttm")
        left = thin(x.flatten(0, 1), tokens, 0.7)
        add("dycoke", "keep=0.3", *shape, rows=sorted(row[:2].tolist() for row in left))
    lines = ",\n".join(json.dumps(json.loads(json.dumps(case), parse_float=lambda t: round(float(t), 6)))
                       for case in cases)
    Path(__file__).with_name("films.json").write_text(f'{{"cases": [\n{lines}\n]}}\n')


main()

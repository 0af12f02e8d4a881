"""Writes films.json: what the published code of five methods leaves of small films.

make_films.py FLASHVID HOLITOM DYCOKE PRUMERGE STTM: checkouts of Fanziyang-v/FlashVID at 1d37422, cokeshao/HoliTom
at e9b2972, KD-TAO/DyCoke at dd74634, 42Shawn/LLaVA-PruMerge at 097c041, HYUNJS/STTM at 00736c7; torch 2.11, einops
0.8. The noise that their clustering adds to break ties is left out. A case's films are those of film_of() in
tests/vision/compressors/small_clips.h. Rows are [place, first feature, second feature]; HoliTom, DyCoke and PruMerge
tell no places, so theirs are [first, second].
"""
import ast
import importlib.util
import json
import os
import sys
import types
from abc import ABC
from pathlib import Path
from unittest.mock import MagicMock

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

sys.path.append(str(Path(__file__).parents[2] / "reference"))
from lcg import lcg  # noqa: E402

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


# The film's own features are keys, too, and its attention is given; their pictures have 576 patches, of whose number
# they lose one where a share that is a float falls short.
PRUMERGE = [("self.feature_select(image_forward_outs).to(images.dtype)", "images"),
            ('outputs["desired_k"]', "torch.cat([images[:, :1], images], dim=1)"),
            ('outputs["desired_q"]', "desired_layer_k"),
            ("attn[:, 0, 1:]", "self.saliency"),
            ("int(N*reduction_ratio)", "round(N*reduction_ratio)"),
            ("torch.arange(0, 575,", "torch.arange(0, N - 1,")]
# Parts that an odd side lacks are the frame's first cell to them; and linked nodes may end apart, as only what a link
# begins or ends at is lowered.
STTM_TREE = [("stop_mask = (similarity >= threshold).all(dim=-1)",
              "stop_mask = ((similarity >= threshold) | ~tgt_child_valid_mask).all(dim=-1)")]
SAFE = 'final_representative.scatter_reduce_(0, dst_idx, min_rep, reduce="amin")\n        final'
STTM_TIME = [(SAFE, SAFE.replace("dst_idx", "dst_rep.long()") + SAFE.replace("dst_idx", "src_rep.long()")[5:]
              + SAFE[5:]),
             ("if torch.equal(final_representative, final_representative[final_representative]):\n"
              "            break\n    # print",
              "if torch.equal(final_representative[dst_idx], final_representative[src_idx]):\n"
              "            break\n    # print")]


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
    module.__file__ = str(path)
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


def prumerge(path, features, saliency, kept=None, spread=False):
    names = dict(complement_idx=definition(path, "complement_idx"), hook_k=None, hook_q=None, F=F,
                 outlier_dectection=definition(path, "outlier_dectection", np=np))
    tower = definition(path, "CLIPVisionTower", PRUMERGE, **names)
    prune = tower.token_prune_merge_advanced_plus if spread else tower.token_prune_merge_advanced
    rows = []
    for frame, attention in zip(features, saliency):
        model = MagicMock(device="cpu", dtype=torch.float32, saliency=attention[None])
        ratio = 0 if kept is None else kept / len(frame)
        rows += prune(model, frame[None], kept is None, ratio)[0].tolist()
    return sorted(row[:2] for row in rows)


def sttm(folder, features, columns, spatial, temporal):
    package = types.ModuleType("token_merging_utils")
    package.__path__ = []
    sys.modules["token_merging_utils"] = package
    for part, edits in [("quadtree_spatial_merger", ()), ("quadtree_temporal_merger", STTM_TIME),
                        ("quadtree_builder", STTM_TREE)]:
        module = load(f"token_merging_utils.{part}", f"{folder}/token_merging_utils/{part}.py",
                      "token_merging_utils", edits)
    grid = features.unflatten(1, (-1, columns)).permute(0, 3, 1, 2).contiguous()
    rows, _, box = module.quadtree_build_video(grid, spatial, temporal)
    places = box[:, 0] * features.shape[1] + box[:, 1] * columns + box[:, 2]
    return [[int(i), *row[:2].tolist()] for i, row in zip(places, rows)]


def main():
    flash, holi, dycoke, pruned, quadtrees = sys.argv[1:]
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
    for seed, frames, tokens, width, drift in [(61, 3, 49, 8, 0.5), (71, 2, 36, 5, 0.8)]:
        shape = (seed, frames, tokens, width, drift)
        x, a = film_of(*shape), saliency_of(seed, frames, tokens)
        file = f"{pruned}/llava/model/multimodal_encoder/clip_encoder.py"
        add("prumerge", "keep=0.25", *shape, rows=prumerge(file, x, a, kept=tokens // 4 - 1))
        for select in ["outliers", "spread"]:
            add("prumerge", f"select={select}", *shape, power=6,
                rows=prumerge(file, x, a**6, spread=select == "spread"))
    for seed, frames, tokens, width, drift, columns in [(31, 8, 25, 4, 0.2, 5), (41, 6, 64, 3, 0.4, 8),
                                                        (51, 5, 42, 3, 0.3, 7), (55, 7, 49, 3, 0.5, 7)]:
        shape = (seed, frames, tokens, width, drift)
        for spatial, temporal in [(0.85, 0.65), (0.3, 0.9), (0.1, 0.5), (0.6, 0.97)]:
            add("sttm", f"spatial={spatial},temporal={temporal},root=2", *shape, columns=columns,
                rows=sttm(quadtrees, film_of(*shape), columns, spatial, temporal))
    lines = ",\n".join(json.dumps(json.loads(json.dumps(case), parse_float=lambda t: round(float(t), 6)))
                       for case in cases)
    Path(__file__).with_name("films.json").write_text(f'{{"cases": [\n{lines}\n]}}\n')


main()

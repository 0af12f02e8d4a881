"""What the trained model computes for one held-out item, stage by stage, for the program to be compared with."""
import json

import torch
from safetensors.torch import save_file

from . import batches, items, prompts, read, seeds
from .model import step


@torch.no_grad()
def write(model, assets, out, task, seed, views, keep):
    """OUT/tensors.safetensors (pictures, tokens, merged, row_of, ids, logits of the answer's first token) and OUT/about.json (prompt text, greedy text)."""
    seeds.evaluation_seed(seed)
    sample = items.made(task, seed, views, assets)
    turn = prompts.turns_of(sample[1], seeds.generator(seed, "asked"))[0]
    batch = batches.batch(task, keep, [sample], [[turn]])
    device = model.language.embedding.device
    model.eval()
    tokens, names, _ = step.seen_tokens(model, batch, device)
    visual, row_of, _ = model.fewer(tokens, keep, step.padded_questions(model, batch.turns) if views > 1 else None)
    script = prompts.script(model.tokenizer, sample[1], names[0], [prompts.Turn(turn.kind, turn.question, "")])
    x, opening, lengths = step.assembled(model, visual, [script])
    hidden, middle, _ = model.language(x)
    (text,), _, _ = read.continued(model, x, lengths, [1])
    out.mkdir(parents=True, exist_ok=True)
    tensors = {"pictures": batch.pictures, "views": batch.views, "times": batch.times, "tokens": tokens, "merged": visual, "row_of": row_of,
               "opening": torch.tensor(model.opening()), "ids": torch.tensor(script.ids), "middle": middle, "logits": model.language.logits(hidden[:, -1])}
    save_file({name: t.detach().cpu().float().contiguous() if t.is_floating_point() else t.cpu().contiguous() for name, t in tensors.items()},
              out / "tensors.safetensors")
    about = {"task": task, "seed": seed, "keep": keep, "question": turn.question, "names": names[0], "prompt": prompts.context(sample[1], names[0])[0],
             "text": text, "opening": opening}
    (out / "about.json").write_text(json.dumps(about, indent=1, ensure_ascii=False))
    return about

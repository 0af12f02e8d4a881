"""Greedy answers of a model to questions about items, with what they rest on."""
import torch

from . import prompts
from .model import step

MOST_TOKENS = 128


@torch.no_grad()
def answers(model, batch, device, random=None):
    """For each item of a batch whose items have one turn each: {"text", "box", "view", "time", "sure"}. `random` only where shares are invented."""
    model.eval()
    tokens, names, grid = step.seen_tokens(model, batch, device, random)
    visual, row_of, _ = model.fewer(tokens, batch.keep, step.padded_questions(model, batch.turns) if tokens.shape[1] > 1 else None)
    scripts = [prompts.script(model.tokenizer, item, own, [prompts.Turn(turns[0].kind, turns[0].question, "")])
               for item, own, turns in zip(batch.items, names, batch.turns)]
    x, opening, lengths = step.assembled(model, visual, scripts)
    texts, middle, answered = continued(model, x, lengths)
    row_of = row_of.cpu()
    return [{"text": text, **rests_on(model, item, script, middle[i:i + 1], said, row_of[i], opening, visual.shape[1], grid)}
            for i, (text, item, script, said) in enumerate(zip(texts, batch.items, scripts, answered))]


def continued(model, x, lengths):
    """Of x [B, L, D], lengths [B] of it: (the greedy texts up to their end marks, the middle layer's states [B, L, D], those of each answer [n, D])."""
    end, device = model.ids(prompts.END)[0], x.device
    lengths = torch.tensor(lengths, device=device)
    everyone = torch.arange(len(x), device=device)
    with model.language.settled():
        hidden, before, past = model.language(x)
        hidden = hidden[everyone, lengths - 1]
        ids, states, going = [], [], torch.ones(len(x), dtype=torch.bool, device=device)
        place = torch.arange(x.shape[1] + MOST_TOKENS, device=device)
        while len(ids) < MOST_TOKENS:
            following = model.language.logits(hidden).argmax(-1)
            going &= following != end
            if not going.any():
                break
            ids.append(torch.where(going, following, -1))
            seen = (place < lengths[:, None]) | (place >= x.shape[1])
            hidden, middle, past = model.language(model.language.embedding[following][:, None], past, (lengths + len(ids) - 1)[:, None],
                                                  seen[:, None, None, :x.shape[1] + len(ids)])
            hidden = hidden[:, 0]
            states.append(middle[:, 0])
    if not ids:
        return [""] * len(x), before, [before[i, :0] for i in range(len(x))]
    ids, states = torch.stack(ids, 1).cpu(), torch.stack(states, 1)
    counts = (ids >= 0).sum(1).tolist()
    return [model.tokenizer.decode(row[:n].tolist()) for row, n in zip(ids, counts)], before, [row[:n] for row, n in zip(states, counts)]


def rests_on(model, item, script, middle, said, row_of, opening, count, grid):
    """The box (union), view and time of what the pointer gives; empty where there is nothing to point at."""
    (groups,), _ = step.groups_of(middle.float(), [script], item, opening, count)
    if not len(groups) or not len(said):
        return {"box": [], "view": "", "time": 0.0, "sure": 0.0}
    rows, sure = model.pointer.point(groups, said.float().mean(0))
    if item.lines:
        boxes, view, time = [item.lines[i].box for i in rows], item.views[0], 0.0
    else:
        boxes, view, time = boxes_of(rows, row_of, item, grid)
    return {"box": united(boxes), "view": view, "time": time, "sure": round(sure, 3)}


def boxes_of(rows, row_of, item, grid):
    """Boxes of the cells of visual tokens, in the view and at the time of the first one's last cell."""
    r, c = grid
    cells = [int(i) for i in torch.isin(row_of, torch.tensor(rows)).nonzero().flatten()]
    per_time, per_view = r * c, r * c * len(item.times)
    last = max((i for i in cells if row_of[i] == rows[0]), default=0)
    view, at = last // per_view, last % per_view // per_time
    boxes = []
    for i in cells:
        if i // per_view == view and i % per_view // per_time == at:
            row, column = i % per_time // c, i % c
            boxes.append([column / c, row / r, (column + 1) / c, (row + 1) / r])
    return boxes, item.views[view], item.times[at]


def united(boxes):
    """The smallest box around all, or nothing."""
    return [min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)] if boxes else []

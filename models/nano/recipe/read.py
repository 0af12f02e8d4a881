"""Greedy answers of a model to questions about items, with what they rest on."""
import torch

from . import prompts
from .model import step

MOST_TOKENS = 96


@torch.no_grad()
def answers(model, batch, device, random=None):
    """For each item of a batch whose items have one turn each: {"text", "box", "view", "time", "sure"}. `random` only where shares are invented."""
    model.eval()
    tokens, names, grid = step.seen_tokens(model, batch, device, random)
    visual, row_of, _ = model.fewer(tokens, batch.keep, step.padded_questions(model, batch.turns) if tokens.shape[1] > 1 else None)
    found = []
    for i, (item, turns) in enumerate(zip(batch.items, batch.turns)):
        asked = [prompts.Turn(turns[0].kind, turns[0].question, "")]
        script = prompts.script(model.tokenizer, item, names[i], asked)
        x, opening = step.assembled(model, visual[i:i + 1], [script])
        text, middle = continued(model, x)
        found.append({"text": text, **rests_on(model, item, script, middle, row_of[i].cpu(), opening, visual.shape[1], x.shape[1], grid)})
    return found


def continued(model, x):
    """(the greedy text behind x [1, L, D] up to its end mark, the middle layer's states [L + n, D])."""
    end = model.ids(prompts.END)[0]
    hidden, middle, past = model.language(x)
    ids, states = [], [middle[0]]
    while len(ids) < MOST_TOKENS:
        following = int(model.language.logits(hidden[:, -1]).argmax())
        if following == end:
            break
        ids.append(following)
        hidden, middle, past = model.language(model.language.embedding[torch.tensor([[following]], device=x.device)], past)
        states.append(middle[0])
    return model.tokenizer.decode(ids), torch.cat(states)


def rests_on(model, item, script, middle, row_of, opening, count, length, grid):
    """The box (union), view and time of what the pointer gives; empty where there is nothing to point at."""
    groups = step.groups_of(middle, script, item, opening, count)
    if not len(groups) or len(middle) == length:
        return {"box": [], "view": "", "time": 0.0, "sure": 0.0}
    rows, sure = model.pointer.point(groups, middle[length:].mean(0))
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

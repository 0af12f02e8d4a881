"""Greedy answers of a model to questions about items, with what they rest on."""
import torch

from . import prompts
from .model import step

MOST_TOKENS = 128


@torch.no_grad()
def answers(model, batch, device, random=None):
    """{"text", "box", "view", "time", "sure"} of each turn of each item, in order; each turn is answered on its own. `random` only where shares are
    invented. Pictures are looked at once an item."""
    model.eval()
    tokens, names, grid = step.seen_tokens(model, batch, device, random)
    rows = [(i, prompts.Turn(turn.kind, turn.question, "")) for i, turns in enumerate(batch.turns) for turn in turns]
    of = torch.tensor([i for i, _ in rows], device=device)
    if tokens.shape[1] > 1:     # what is kept depends on the question
        visual, row_of, _ = model.fewer(tokens[of], batch.keep, step.padded_questions(model, [[turn] for _, turn in rows]))
    else:
        visual, row_of = (each[of] for each in model.fewer(tokens, batch.keep, None)[:2])
    scripts = [prompts.script(model.tokenizer, batch.items[i], names[i], [turn]) for i, turn in rows]
    x, opening, lengths = step.assembled(model, visual, scripts)
    texts, middle, answered = continued(model, x, lengths, [len(turns) for turns in batch.turns])
    row_of = row_of.cpu()
    return [{"text": text, **rests_on(model, batch.items[i], script, middle[n:n + 1], said, row_of[n], opening, visual.shape[1], grid)}
            for n, (text, (i, _), script, said) in enumerate(zip(texts, rows, scripts, answered))]


def opened(model, x, lengths):
    """What the model makes of x [B, L, D]: (last states, middle states, keys and values). What all rows begin with alike is read once."""
    alike = int((x == x[:1]).all(-1).all(0).cumprod(0).sum())
    shared = min(alike, int(lengths.min()) - 1) if len(x) > 1 else 0
    if not shared:
        return model.language(x)
    first = model.language(x[:1, :shared])
    past = [tuple(each.expand(len(x), -1, -1, -1) for each in layer) for layer in first[2]]
    seen = torch.ones(x.shape[1] - shared, x.shape[1], dtype=torch.bool, device=x.device).tril(shared)
    rest = model.language(x[:, shared:], past, mask=seen[None, None])
    return (*(torch.cat([a.expand(len(x), -1, -1), b], 1) for a, b in zip(first[:2], rest)), rest[2])


def continued(model, x, lengths, groups):
    """Of x [B, L, D], lengths [B] of it, rows in groups of so many that begin alike: (the greedy texts up to their end marks, the middle layer's
    states [B, L, D], those of each answer [n, D])."""
    end, device = model.ids(prompts.END)[0], x.device
    ids, states = [[] for _ in lengths], [[] for _ in lengths]
    with model.language.settled():
        lengths = torch.tensor(lengths, device=device)
        last, middles, pasts = zip(*(opened(model, *own) for own in zip(x.split(groups), lengths.split(groups))))
        hidden, before = torch.cat(last), torch.cat(middles)
        past = [tuple(map(torch.cat, zip(*layers))) for layers in zip(*pasts)]
        going = torch.arange(len(x), device=device)     # the rows that have not ended
        hidden = hidden[going, lengths - 1]
        place = torch.arange(x.shape[1] + MOST_TOKENS, device=device)
        for n in range(MOST_TOKENS):
            following = model.language.logits(hidden).argmax(-1)
            left = (following != end).nonzero().flatten()
            if not len(left):
                break
            if len(left) < len(going):
                going, following, past = going[left], following[left], [tuple(each[left] for each in layer) for layer in past]
            own = lengths[going, None]
            seen = (place < own) | (place >= x.shape[1])
            hidden, middle, past = model.language(model.language.embedding[following][:, None], past, own + n, seen[:, None, None, :x.shape[1] + n + 1])
            hidden = hidden[:, 0]
            for row, token, state in zip(going.tolist(), following.tolist(), middle[:, 0]):
                ids[row].append(token)
                states[row].append(state)
    return [model.tokenizer.decode(row) for row in ids], before, [torch.stack(row) if row else before[0, :0] for row in states]


def rests_on(model, item, script, middle, said, row_of, opening, count, grid):
    """The box (union), view and time of what the pointer gives; empty where there is nothing to point at."""
    (groups,), _ = step.groups_of(middle.float(), [script], bool(item.lines), opening, count)
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

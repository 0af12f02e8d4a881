"""Points at what an answer rests on: visual tokens, or cells of text.

Reference: Vinyals et al., Pointer Networks, NIPS 2015: u_j = v tanh(W1 e_j + W2 d). Differs: a GRU as decoder, an end among the keys from the
second step on, and what was pointed at cannot be again."""
import torch
import torch.nn.functional as F
from torch import nn

WIDTH = 192
MOST = 4
IGNORED = -100   # behind the last step


class EvidencePointer(nn.Module):
    """Keys are means of a middle layer's states over each group; the query is their mean over the answer."""

    def __init__(self, width):
        super().__init__()
        self.key, self.query = nn.Linear(width, WIDTH), nn.Linear(width, WIDTH)
        self.step = nn.GRUCell(WIDTH, WIDTH)
        self.mix, self.vector = nn.Linear(WIDTH, WIDTH, bias=False), nn.Linear(WIDTH, 1, bias=False)
        self.start, self.end = nn.Parameter(torch.randn(WIDTH) * .1), nn.Parameter(torch.randn(WIDTH) * .1)

    def logits(self, keys, state, taken):
        """[N, 1 + G]: of the end, then of each group; taken ones and an end at the first step are impossible."""
        u = self.vector(torch.tanh(keys + self.mix(state)[:, None])).squeeze(-1)
        return u.masked_fill(taken, -torch.inf)

    def loss(self, groups, counts, answers, wanted):
        """groups [N, G, D] of which the first counts [N] exist, answers [N, D], wanted [N, steps]: 1 + which group, 0 the end, IGNORED behind it and
        wherever there is nothing to point at. The mean nats a step, over those that have any."""
        keys, state, taken = self.opened(groups, counts, answers)
        steps = (wanted != IGNORED).sum(1)
        before, total = self.start.expand(len(keys), -1), 0.0
        for target in wanted.unbind(1):
            state = self.step(before, state)
            total = total + F.cross_entropy(self.logits(keys, state, taken), target, ignore_index=IGNORED, reduction="none")
            at = target.clamp(min=0)[:, None]
            taken = taken.scatter(1, at, True)
            taken[:, 0] = False
            before = keys.gather(1, at[..., None].expand(-1, -1, keys.shape[2]))[:, 0]
        return (total / steps.clamp(min=1)).sum() / (steps > 0).sum().clamp(min=1)

    @torch.no_grad()
    def point(self, groups, answer, most=MOST):
        """(which of groups [G, D] are pointed at, the product of the steps' probabilities)."""
        keys, state, taken = self.opened(groups[None], torch.tensor([len(groups)], device=groups.device), answer[None])
        before, found, sure = self.start[None], [], 1.0
        while len(found) < min(most, len(groups)):
            state = self.step(before, state)
            shares = self.logits(keys, state, taken)[0].softmax(-1)
            target = int(shares.argmax())
            sure *= float(shares[target])
            if target == 0:
                break
            found.append(target - 1)
            taken[0, target], taken[0, 0] = True, False
            before = keys[:, target]
        return found, sure

    def opened(self, groups, counts, answers):
        keys = torch.cat([self.end.expand(len(groups), 1, -1), self.key(groups.float())], 1)
        taken = torch.arange(keys.shape[1], device=keys.device) > counts[:, None]
        taken[:, 0] = True
        return keys, torch.tanh(self.query(answers.float())), taken

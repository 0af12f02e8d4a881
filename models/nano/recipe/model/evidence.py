"""Points at what an answer rests on: visual tokens, or cells of text.

Reference: Vinyals et al., Pointer Networks, NIPS 2015: u_j = v tanh(W1 e_j + W2 d). Differs: a GRU as decoder, an end among the keys from the
second step on, and what was pointed at cannot be again."""
import torch
import torch.nn.functional as F
from torch import nn

WIDTH = 192
MOST = 4


class EvidencePointer(nn.Module):
    """Keys are means of a middle layer's states over each group; the query is their mean over the answer."""

    def __init__(self, width):
        super().__init__()
        self.key, self.query = nn.Linear(width, WIDTH), nn.Linear(width, WIDTH)
        self.step = nn.GRUCell(WIDTH, WIDTH)
        self.mix, self.vector = nn.Linear(WIDTH, WIDTH, bias=False), nn.Linear(WIDTH, 1, bias=False)
        self.start, self.end = nn.Parameter(torch.randn(WIDTH) * .1), nn.Parameter(torch.randn(WIDTH) * .1)

    def logits(self, keys, state, taken):
        """[G + 1]: of each group, then of the end; taken ones and an end at the first step are impossible."""
        u = self.vector(torch.tanh(keys + self.mix(state))).squeeze(-1)
        return u.masked_fill(taken, -torch.inf)

    def loss(self, groups, answer, targets):
        """groups [G, D], answer [D], targets: which groups in which order, at least one. Mean nats a step, the end being the last."""
        keys, state, taken = self.opened(groups, answer)
        before, total = self.start, 0.0
        for target in [*targets, len(groups)]:
            state = self.step(before[None], state[None])[0]
            total = total + F.cross_entropy(self.logits(keys, state, taken)[None], torch.tensor([target], device=keys.device))
            taken = taken.clone()
            taken[target], taken[-1] = True, False
            before = keys[target]
        return total / (len(targets) + 1)

    @torch.no_grad()
    def point(self, groups, answer, most=MOST):
        """(the groups pointed at, the product of the steps' probabilities)."""
        keys, state, taken = self.opened(groups, answer)
        before, found, sure = self.start, [], 1.0
        while len(found) < min(most, len(groups)):
            state = self.step(before[None], state[None])[0]
            shares = self.logits(keys, state, taken).softmax(-1)
            target = int(shares.argmax())
            sure *= float(shares[target])
            if target == len(groups):
                break
            found.append(target)
            taken[target], taken[-1] = True, False
            before = keys[target]
        return found, sure

    def opened(self, groups, answer):
        keys = torch.cat([self.key(groups.float()), self.end[None]])
        taken = torch.zeros(len(keys), dtype=torch.bool, device=keys.device)
        taken[-1] = True
        return keys, torch.tanh(self.query(answer.float())), taken

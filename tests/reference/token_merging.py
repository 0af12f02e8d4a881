"""Token merging between the layers of a vision transformer, in plain PyTorch from the formulas of Bolya et al. (ICLR 2023), and
AuroraCap's use of it: what the generators of fixtures share."""
import torch


def matched(metric, r, protected):
    """Rows of the even tokens that go, best first, of those that stay, and the odd rows that the former join."""
    unit = metric / metric.norm(dim=-1, keepdim=True)
    scores = unit[::2] @ unit[1::2].T
    if protected:
        scores[0] = -torch.inf
    best, to = scores.max(1)
    order = best.argsort(descending=True, stable=True)
    stay = order[r:].sort().values if protected else order[r:]
    return order[:r], stay, to[order[:r]]


def merged(x, members, metric, r, protected):
    """A step over tokens [n, D] of which each stands for the places `members`, its own first. r pairs, at most half of the tokens."""
    r = min(r, (len(x) - protected) // 2)
    if r <= 0:
        return x, members
    size = torch.tensor([[len(each)] for each in members], dtype=x.dtype)
    gone, stay, into = matched(metric, r, protected)
    odd, own = x[1::2] * size[1::2], members[1::2]
    odd.index_add_(0, into, x[::2][gone] * size[::2][gone])
    for a, b in zip(gone.tolist(), into.tolist()):
        own[b] = own[b] + members[2 * a]
    members = [members[2 * a] for a in stay.tolist()] + own
    return torch.cat([x[::2][stay], odd / torch.tensor([[len(each)] for each in own])]), members


def clip_features(clip, pixels, keep, by_size, layer=-2):
    """What a language model reads of each picture: the stream of a transformers CLIPVisionModel after `layer`, class token dropped,
    in the order that merging leaves. `by_size` adds the logarithm of each token's size to the logits of its key."""
    config = clip.config
    r = int(pixels.shape[-1] * pixels.shape[-2] / config.patch_size**2 * (1 - keep) / config.num_hidden_layers)
    model = getattr(clip, "vision_model", clip)
    heads, rows = config.num_attention_heads, []
    for x in model.pre_layrnorm(model.embeddings(pixels)):
        members = [[i] for i in range(len(x))]
        for block in model.encoder.layers[:config.num_hidden_layers + 1 + layer]:
            y = block.layer_norm1(x)
            attention = block.self_attn
            q, k, v = (project(y).view(len(x), heads, -1).transpose(0, 1)
                       for project in (attention.q_proj, attention.k_proj, attention.v_proj))
            logits = q @ k.transpose(1, 2) / q.shape[-1] ** 0.5
            if by_size:
                logits = logits + torch.tensor([len(each) for each in members], dtype=x.dtype).log()
            x = x + attention.out_proj((logits.softmax(-1) @ v).transpose(0, 1).reshape(len(x), -1))
            x, members = merged(x, members, k.mean(0), r, True)
            x = x + block.mlp(block.layer_norm2(x))
        rows.append(x[1:])
    return torch.stack(rows)

"""One driving item of a seed: pictures and their truth."""
import numpy as np

from .. import seeds
from ..seeds import choose
from ..truth import Agent, Item, Risk, rounded
from . import draw, words
from .scene import scripted

SEEN_PIXELS = 150         # of 224 x 224: fewer are not told of
CAUSE_PIXELS = 120        # fewer, and the scene is drawn again: a danger that no camera shows cannot be learnt or asked for
PARKED_PIXELS = 300       # fewer of parked cars in every picture, and they are not spoken of
LIGHT_PIXELS = 60         # fewer of a traffic light
FOG_METRES = 30           # nothing farther away is told of in fog
ONE_VIEW = (8, (.25, .5))     # pictures, and seconds between them
MORE_VIEWS = (4, (.4, .7))


def cameras_of(random, count):
    """The names of `count` views; one alone is the front, mostly."""
    names = list(draw.VIEWS)
    if count == 1:
        return ["front"] if random.random() < .9 else ["rear"]
    return names if count == 6 else [names[0]] + sorted((names[i] for i in 1 + random.permutation(5)[:count - 1]), key=names.index)


def seen(owners, index):
    """(view, first time, last time, box there) of the view that shows most of an actor, its largest size in pixels; None if never seen."""
    sizes = (owners == index + 1).sum((2, 3))
    view = int(sizes.max(1).argmax())
    at = np.flatnonzero(sizes[view] >= 60)
    if not len(at):
        return None
    ys, xs = np.nonzero(owners[view, at[-1]] == index + 1)
    side = owners.shape[-1]
    box = rounded((xs.min() / side, ys.min() / side, (xs.max() + 1) / side, (ys.max() + 1) / side))
    return view, int(at[0]), int(at[-1]), box, int(sizes.max())


def described(scene, owners, views):
    """Agents by the number of their actor, largest first, and how many of each name are surely seen (None where some are hardly seen)."""
    agents, counts, sizes = {}, {}, {}
    for i, track in enumerate(scene.actors):
        sight = seen(owners, i)
        if sight is None:
            if (owners == i + 1).any():
                counts[track.name] = None
            continue
        view, first, last, box, pixels = sight
        if i != scene.danger.actor and (pixels < SEEN_PIXELS or in_fog(scene, i, last)):
            counts[track.name] = None
            continue
        distance = float(np.hypot(track.s[last] - scene.ours.s[last], track.d[last] - scene.ours.d[last]))
        agents[i] = Agent(track.name, track.color, track.motion, views[view], box, float(scene.times[first]), float(scene.times[last]),
                          round(distance, 1), round(float(np.hypot(track.speed_s[last], track.speed_d[last])), 1))
        sizes[i] = pixels
        counts[track.name] = counts.get(track.name, 0) + 1 if counts.get(track.name, 0) is not None else None
    if scene.parked:
        counts["car"] = counts["van"] = None    # those of the parked row are not counted
    for name in words.PLURALS:
        counts.setdefault(name, 0)
    return dict(sorted(agents.items(), key=lambda pair: -sizes[pair[0]])), counts


def judged(random, scene, agents):
    """The risk in words; the box is the cause's where most of it is seen."""
    danger = scene.danger
    cause = agents.get(danger.actor)
    finite = np.isfinite(danger.seconds)
    risk = Risk(danger.level, round(float(danger.seconds), 2) if finite else None, words.thing(cause) if cause else "", cause.view if cause else "",
                cause.box if cause else [], float(scene.times[danger.first]), float(scene.times[danger.last]), "", words.ADVICE[danger.level],
                bool(danger.near))
    risk.reason = words.reason(random, cause, risk)
    return risk, cause


def sample(seed, view_count=None, level=None, make=scripted, count=None):
    """Pictures uint8 [views, times, 224, 224, 3] and the Item. `make(random, times, views, level)` gives the scene, of `count` times where it is not the
    usual number."""
    random = seeds.generator(seed, "driving")
    views = cameras_of(random, view_count or int(random.choice([1, 2, 3, 6], p=[.7, .1, .1, .1])))
    usual, steps = ONE_VIEW if len(views) == 1 else MORE_VIEWS
    count = count or usual
    times = np.arange(count) * round(float(random.uniform(*steps)), 2)
    wanted = level or choose(random, ("low", "medium", "high"))
    while True:
        scene, cameras = make(random, times, views, wanted), draw.rig(random, views)
        cause, last = scene.danger.actor, scene.danger.last
        if cause is not None and max(draw.extent(scene, scene.actors[cause], last, camera) for camera in cameras) < 1.6 * CAUSE_PIXELS:
            continue     # surely too small: the box is larger than what is in it
        pictures, owners = draw.render(random, scene, cameras)
        if cause is None or ((owners[:, last] == cause + 1).sum((1, 2)).max() >= CAUSE_PIXELS and not in_fog(scene, cause, last)):
            break
    agents, counts = described(scene, owners, views)
    risk, cause = judged(random, scene, agents)
    facts = {"place": scene.place, "time of day": scene.time_of_day, "weather": scene.weather, "light": light_seen(scene, views, owners),
             "own": scene.own_motion, "parked": "at the kerb" if (owners == draw.PARKED_OWNER).sum((2, 3)).max() >= PARKED_PIXELS else None}
    told = ([cause] if cause else []) + [agent for agent in agents.values() if agent is not cause]
    made = words.captions(random, facts, told, risk, len(views) > 1)
    asked = words.questions(random, facts, told, cause, risk, counts)
    return pictures, Item("driving", seed, views, [round(float(t), 2) for t in scene.times], made, facts, told, risk, asked)


def light_seen(scene, views, owners):
    """The state of the traffic light if the front camera sees it."""
    front = owners[views.index("front")] if "front" in views else owners[:0]
    return scene.light if scene.light and (front == draw.LIGHT_OWNER).sum((1, 2)).max(initial=0) >= LIGHT_PIXELS else None


def in_fog(scene, actor, at):
    """Whether fog hides an actor whatever its size."""
    track = scene.actors[actor]
    return scene.weather == "fog" and np.hypot(track.s[at] - scene.ours.s[at], track.d[at] - scene.ours.d[at]) > FOG_METRES

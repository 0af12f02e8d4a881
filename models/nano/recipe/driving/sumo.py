"""Traffic of SUMO as scenes: a crossing with a light is simulated, and pieces of a few seconds around single cars are kept.

Needs SUMO 1.15 (Debian `sumo`) to record; nothing to draw. SUMO is Copyright the Eclipse Foundation, EPL-2.0; only numbers that it computed are kept."""
import dataclasses
import json
import subprocess
import tempfile
import xml.etree.ElementTree as xml
from pathlib import Path

import numpy as np

from ..seeds import EVALUATION_FROM, choose
from .risk import LEVELS, judge
from .scene import COLORS, TIMES_OF_DAY, WEATHERS, Scene
from .traffic import LANE_METRES, SIZES, Track

STEP_SECONDS, RUN_SECONDS = .1, 900
TIMES = 8
OUR_LANE_Y = -1.5 * LANE_METRES
REACH_METRES = 70          # others farther away are left out
SHARES = {"car": .62, "van": .14, "truck": .1, "bus": .06, "motorcycle": .08}
FLOWS = (("we", "W", "E", 700), ("ew", "E", "W", 600), ("ns", "N", "S", 160), ("sn", "S", "N", 160), ("wn", "W", "N", 60), ("es", "E", "S", 60))


def element(name, children=(), **attributes):
    made = xml.Element(name, {key.rstrip("_"): str(value) for key, value in attributes.items()})
    made.extend(children)
    return made


def written(path, root):
    xml.ElementTree(root).write(path)
    return str(path)


def network(folder):
    """A street of two lanes each way that crosses one of one lane, with a light, pavements and crossings."""
    places = {"W": (-300, 0), "C": (0, 0), "E": (300, 0), "N": (0, 150), "S": (0, -150)}
    nodes = element("nodes", [element("node", id=name, x=x, y=y, type="traffic_light" if name == "C" else "priority") for name, (x, y) in places.items()])
    edges = element("edges", [element("edge", id=a + b, from_=a, to=b, numLanes=2 if "W" in a + b or "E" in a + b else 1, speed=13.9,
                                      width=LANE_METRES, sidewalkWidth=2.5) for a, b in ("WC", "CW", "CE", "EC", "NC", "CN", "SC", "CS")])
    out = folder / "net.xml"
    subprocess.run(["netconvert", "-n", written(folder / "nodes.xml", nodes), "-e", written(folder / "edges.xml", edges), "-o", str(out),
                    "--crossings.guess", "--no-turnarounds", "--tls.default-type", "static", "--offset.disable-normalization"],
                   check=True, stdout=subprocess.DEVNULL)
    return out


def demand(folder):
    """Drivers of every kind, some of whom follow closely and brake late, and people on foot."""
    types = []
    for name, share in SHARES.items():
        for bold in (0, 1):
            length, width, _ = SIZES[name]
            types.append(element("vType", id=f"{name}{bold}", probability=share * (.35 if bold else .65), length=length, width=width, sigma=.4 + .4 * bold,
                                 tau=.35 if bold else 1.0, minGap=.8 if bold else 2.0, decel=7 if bold else 4.5, apparentDecel=7, speedDev=.2,
                                 lcAssertive=3 if bold else 1, lcSpeedGain=5 if bold else 1, collisionMinGapFactor=0, guiShape="passenger"))
    routes = [element("vTypeDistribution", types, id="any")]
    routes += [element("flow", id=name, type="any", from_=a + "C", to="C" + b, begin=0, end=RUN_SECONDS, vehsPerHour=rate, departLane="random",
                       departSpeed="max") for name, a, b, rate in FLOWS]
    routes += [element("personFlow", [element("walk", from_=a + "C", to="C" + b)], id=f"p{a}{b}", begin=0, end=RUN_SECONDS, perHour=150)
               for a, b in ("NS", "SN", "WE", "EW")]
    return written(folder / "routes.xml", element("routes", routes))


def simulated(seed, folder):
    """({time: {id: (name, x, y, radians, speed)}}, {time: colour of our light}) of one run; x, y of the middle."""
    net = network(folder)
    tls = element("additional", [element("timedEvent", type="SaveTLSStates", source="C", dest=str(folder / "tls.xml"))])
    subprocess.run(["sumo", "-n", str(net), "-r", demand(folder), "-a", written(folder / "tls.add.xml", tls), "--fcd-output", str(folder / "fcd.xml"),
                    "--step-length", str(STEP_SECONDS), "--end", str(RUN_SECONDS), "--seed", str(seed), "--collision.action", "warn",
                    "--lateral-resolution", "0.8", "--no-step-log", "--no-warnings"], check=True, stdout=subprocess.DEVNULL)
    links = [c for c in xml.parse(net).getroot().iter("connection") if c.get("from") == "WC" and c.get("to") == "CE" and c.get("linkIndex")]
    link = int(links[0].get("linkIndex"))
    shown = {"r": "red", "y": "yellow", "g": "green", "u": "red"}
    lights = {round(float(s.get("time")), 1): shown[s.get("state")[link].lower()] for s in xml.parse(folder / "tls.xml").getroot().iter("tlsState")}
    frames = {}
    for _, step in xml.iterparse(folder / "fcd.xml"):
        if step.tag != "timestep":
            continue
        now = {}
        for each in step:
            name = "pedestrian" if each.tag == "person" else each.get("type")[:-1]
            angle = np.pi / 2 - np.radians(float(each.get("angle")))
            back = SIZES[name][0] / 2 if each.tag == "vehicle" else 0.0
            now[each.get("id")] = (name, float(each.get("x")) - back * np.cos(angle), float(each.get("y")) - back * np.sin(angle), angle,
                                   float(each.get("speed")))
        frames[round(float(step.get("time")), 1)] = now
        step.clear()
    return frames, lights


def motion_of(name, ours, s, d, heading, speed, across):
    """What an actor does, in the words of words.MOTIONS; arrays over time, against our lane. Nothing where it turns."""
    if np.ptp(np.unwrap(heading)) > .35:
        return None
    turn = np.cos(heading[-1])
    if name == "pedestrian":
        crossing = abs(turn) < .6 and abs(across[-1]) > .3
        return ("crosses from the left" if across[-1] < 0 else "crosses from the right") if crossing else \
            "walks along the road" if speed[-1] > .3 else "stands on the road" if abs(d[-1]) < 2.4 else "waits at the kerb"
    if turn < -.8:
        return "comes towards us"
    if turn < .8:
        return "waits at the junction" if speed[-1] < .5 else "crosses from the left" if across[-1] < 0 else "crosses from the right"
    ahead = s[-1] > ours.s[-1]
    if ahead and abs(d[0]) - abs(d[-1]) > .5:
        return "cuts in"
    if abs(d[-1]) < 1.6:
        slower = (speed[-1] - speed[0]) < -1
        return ("stands still" if speed[-1] < .5 else "brakes" if slower else "drives ahead") if ahead else \
            "comes up from behind" if speed[-1] - ours.speed_s[-1] > .5 else "follows us"
    return "drives beside us"


def track(name, color, motion, values, times, braking):
    """A Track of values [T, 4]: s, d, heading, speed."""
    s, d, heading, _ = values.T
    heading = np.unwrap(heading)
    return Track(name, color, motion, s, d, np.gradient(s, times), np.gradient(d, times), heading, np.full(len(times), float(braking)))


def pieces(frames, lights, random, most):
    """Up to `most` pieces around cars on the right lane before and behind the crossing: JSON-ready dictionaries."""
    ends, found = sorted(frames), []
    while len(found) < most:
        step = int(random.integers(2, 6))
        last = int(random.integers(600, len(ends) - 1))
        stamps = [ends[last - step * (TIMES - 1 - i)] for i in range(TIMES)]
        us = [key for key, (name, x, y, angle, _) in frames[stamps[-1]].items()
              if name in ("car", "van") and abs(y - OUR_LANE_Y) < .6 and abs(angle) < .1 and (-75 < x < -9 or 10 < x < 120)]
        random.shuffle(us)
        for key in us[:2]:
            made = piece(frames, lights, key, stamps)
            if made:
                found.append(made)
    return found[:most]


def piece(frames, lights, key, stamps):
    """One piece, or nothing where our car was elsewhere before, or others turn near it."""
    if any(key not in frames[t] for t in stamps):
        return None
    own = np.array([frames[t][key][1:] for t in stamps])
    if np.abs(own[:, 1] - OUR_LANE_Y).max() > .8:
        return None
    x0, times = own[0, 0], np.array(stamps) - stamps[0]
    ours = track("car", "grey", "", np.stack([own[:, 0] - x0, 0 * times, 0 * times, own[:, 3]], 1), times, False)
    actors = []
    for other, (name, x, y, _, _) in frames[stamps[-1]].items():
        if other == key or np.hypot(x - own[-1, 0], y - OUR_LANE_Y) > REACH_METRES or any(other not in frames[t] for t in stamps):
            continue
        values = np.array([frames[t][other][1:] for t in stamps])
        values = np.stack([values[:, 0] - x0, values[:, 1] - OUR_LANE_Y, values[:, 2], values[:, 3]], 1)
        across = np.gradient(values[:, 1], times)
        motion = motion_of(name, ours, values[:, 0], values[:, 1], values[:, 2], values[:, 3], across)
        if motion is None:
            return None
        slowing = name != "pedestrian" and values[-1, 3] - values[0, 3] < -1
        actors.append({"name": name, "motion": motion, "braking": bool(slowing), "values": np.round(values, 2).tolist()})
    change = (own[-1, 3] - own[0, 3]) / times[-1]
    made = {"times": np.round(times, 2).tolist(), "ours": np.round(own[:, [0, 3]] - [x0, 0], 2).tolist(), "junction": round(-x0, 2),
            "motion": "stands still" if own[-1, 3] < .5 else "brakes" if change < -1 else "drives", "light": lights.get(stamps[-1], "red"), "actors": actors}
    made["level"] = scene_of(made, None).danger.level
    return made


def record(out, runs=12, a_run=500, seed=1):
    """Makes `runs` x `a_run` pieces and writes as JSON lines as many of each level as there are of the rarest, or a tenth of all if that is more."""
    made = []
    for run in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            frames, lights = simulated(seed + run, Path(folder))
        made += pieces(frames, lights, np.random.default_rng(seed + run), a_run)
    counts = [sum(p["level"] == level for p in made) for level in LEVELS]
    most, kept = max(min(counts), len(made) // 10), {level: 0 for level in LEVELS}
    with open(out, "w") as file:
        for each in made:
            if kept[each["level"]] < most:
                kept[each["level"]] += 1
                file.write(json.dumps(each, separators=(",", ":")) + "\n")
    return kept


def scene_of(recorded, random):
    """The Scene of a piece. Light, weather and paint are drawn; without `random` they are the plainest."""
    times = np.array(recorded["times"])
    own = np.array(recorded["ours"])
    ours = track("car", "grey", recorded["motion"], np.stack([own[:, 0], 0 * times, 0 * times, own[:, 1]], 1), times, False)
    actors = [track(a["name"], choose(random, tuple(COLORS)) if random else "grey", a["motion"], np.array(a["values"]), times, a["braking"])
              for a in recorded["actors"]]
    scene = Scene("city street", "day", "clear", 2, ours, recorded["motion"], actors, [], 0.0, None, recorded["junction"], recorded["light"], times)
    if random:
        scene = dataclasses.replace(scene, time_of_day=TIMES_OF_DAY[int(random.choice(3, p=[.5, .2, .3]))],
                                    weather=WEATHERS[int(random.choice(3, p=[.6, .25, .15]))])
    scene.danger = judge(ours, actors)
    return scene


class Recorded:
    """Pieces of a file as a maker of scenes for sample(): every tenth is for evaluation alone."""

    def __init__(self, path):
        with open(path) as file:
            rows = [json.loads(line) for line in file]
        self.parts = {trained: {level: [row for i, row in enumerate(rows) if (i % 10 > 0) == trained and row["level"] == level] for level in LEVELS}
                      for trained in (True, False)}

    def maker(self, seed):
        """For sample() of that seed: scenes of `level`. The times are the piece's own, every other one where fewer are wanted."""
        part = self.parts[seed < EVALUATION_FROM]

        def make(random, times, views, level):
            while True:
                scene = thinned(scene_of(choose(random, part[level]), random), len(times))
                if scene.danger.level == level:
                    return scene
        return make


def thinned(scene, count):
    """The last of each two times, so that `count` are left; the scene itself if there are no more."""
    every = len(scene.times) // count
    if every <= 1:
        return scene

    def thin(values):
        return values[every - 1::every]

    fields = ("s", "d", "speed_s", "speed_d", "heading", "braking")
    ours, *actors = (dataclasses.replace(t, **{name: thin(getattr(t, name)) for name in fields}) for t in [scene.ours] + scene.actors)
    times = thin(scene.times)
    return dataclasses.replace(scene, ours=ours, actors=actors, times=times - times[0], danger=judge(ours, actors))

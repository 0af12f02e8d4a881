"""A scene in words: captions, questions, and back from words to facts. Every phrase that says a fact is in a table here, so that what a
caption claims can be read back from it."""
import re

from ..seeds import choose
from ..truth import Evidence, Question
from .scene import COLORS

MOTIONS = {
    "drives ahead": ("drives ahead of us", "is driving in front of us"),
    "brakes": ("brakes ahead of us", "is braking in front of us"),
    "stands still": ("stands still", "is standing in the lane"),
    "comes towards us": ("comes towards us", "is oncoming"),
    "drifts into our lane": ("drifts into our lane", "is coming over into our lane"),
    "cuts in": ("cuts in ahead of us", "is changing into our lane"),
    "drives beside us": ("drives beside us", "keeps to the next lane"),
    "pulls out": ("pulls out from the kerb", "is leaving its parking place"),
    "comes up from behind": ("comes up from behind", "is closing in behind us"),
    "follows us": ("follows us", "is driving behind us"),
    "crosses from the left": ("crosses from the left", "is crossing from the left side"),
    "crosses from the right": ("crosses from the right", "is crossing from the right side"),
    "waits at the kerb": ("waits at the kerb", "is standing at the roadside"),
    "stands on the road": ("stands on the road", "is standing in our way"),
    "waits at the junction": ("waits at the junction", "is waiting in the side street"),
    "walks along the road": ("walks along the road", "is walking on the pavement"),
    "walks away": ("walks away from the road", "is leaving the road on foot"),
    "rides away": ("rides away from the road", "is leaving the road by bicycle"),
    "rides ahead": ("rides ahead of us", "is riding in front of us"),
}
PLACES = {
    "city street": ("a city street", "a street between tall buildings"), "suburban street": ("a suburban street", "a street with houses and gardens"),
    "country road": ("a country road", "a road in the countryside"), "highway": ("a highway", "a motorway"),
}
TIMES_OF_DAY = {"day": ("during the day", "by daylight"), "dusk": ("at dusk", "in the twilight"), "night": ("at night", "in the dark")}
WEATHERS = {"clear": ("in clear weather", "under a clear sky"), "rain": ("in the rain", "while it rains"), "fog": ("in fog", "in foggy weather")}
LIGHTS = {light: (f"The traffic light is {light}.", f"The signal ahead shows {light}.") for light in ("red", "yellow", "green")}
PARKED = {"at the kerb": ("Cars are parked on the right.", "Parked cars stand at the kerb.")}
OWN = {"drives": ("We keep driving.", "Our car drives on."), "brakes": ("We slow down.", "Our car brakes."),
       "stands still": ("We stand still.", "Our car is not moving.")}
CAMERA = {"drives": ("The camera moves forward with the car.", "Mounted on a car, the camera travels ahead."),
          "brakes": ("The camera moves forward and slows down.", "Mounted on a braking car, the camera becomes slower."),
          "stands still": ("The camera does not move.", "Mounted on a car that stands, the camera is still.")}
RISKS = {"low": ("The risk is low.", "Nothing endangers us."), "medium": ("The risk is medium.", "This needs attention: medium risk."),
         "high": ("The risk is high.", "This is dangerous: high risk.")}
ADVICE = {"low": "keep going", "medium": "slow down", "high": "brake now"}

QUESTIONS = {
    "level": ("How high is the risk?", "What is the risk level?", "How dangerous is this?"),
    "object": ("What endangers us?", "Which object causes the risk?", "What is the main hazard?"),
    "view": ("In which view is the hazard?", "Which camera sees the hazard?", "Where is the danger?"),
    "reason": ("Why is there a risk?", "What makes this risky?", "Explain the risk."),
    "when": ("In how many seconds would we collide?", "How long until a collision?", "How many seconds are left?"),
    "advice": ("What should the driver do?", "What do you advise?", "How should we react?"),
    "light": ("What does the traffic light show?", "Which colour is the signal?", "Is the light red, yellow or green?"),
    "weather": ("How is the weather?", "What is the weather like?", "Is it clear, rainy or foggy?"),
    "time of day": ("What time of day is it?", "Is it day, dusk or night?", "When was this filmed?"),
    "place": ("Where is this?", "What kind of road is this?", "Which place is shown?"),
    "count": ("How many {name} are seen?", "Count the {name}.", "What is the number of {name}?"),
    "color": ("Which colour is the {name}?", "What is the colour of the {name}?", "What colour has the {name}?"),
    "motion": ("What does the {thing} do?", "How does the {thing} move?", "Describe the movement of the {thing}."),
    "present": ("Is there a {name}?", "Can a {name} be seen?", "Do you see a {name}?"),
    "own": ("What is our car doing?", "How does our car move?", "Are we moving?"),
}
ASSESS = ("Assess the risk.", "Judge the danger: level, object, view, reason.")
CAPTION_PROMPTS = {
    "short": ("Describe what is shown in one sentence.", "What happens?"),
    "detailed": ("Describe the clip in detail.", "Say all that can be seen."),
    "background": ("Describe the background.", "Where and when is this, and how is the weather?"),
    "main object": ("Describe the main object.", "What is most important here?"),
    "camera": ("Describe how the camera moves.", "What does the camera do?"),
}
PLURALS = {"car": "cars", "van": "vans", "truck": "trucks", "bus": "buses", "motorcycle": "motorcycles", "cyclist": "cyclists",
           "pedestrian": "pedestrians"}
# Words that tell what is seen, for whom they are to weigh more.
SEEN = (*COLORS, *PLURALS, *(text for texts in MOTIONS.values() for text in texts), *RISKS, *LIGHTS, "drives", "brakes", "stands still", "slow down", "yes", "no",
        "none", "nothing")


def thing(agent):
    """'red car', 'pedestrian in red'."""
    return f"{agent.name} in {agent.color}" if agent.name == "pedestrian" or agent.name == "cyclist" else f"{agent.color} {agent.name}"


def article(phrase):
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def capital(text):
    return text[0].upper() + text[1:]


def doing(random, agent, several):
    """'a red car brakes ahead of us', with the view if there are several."""
    where = f" in the {agent.view} view" if several else ""
    return f"{article(thing(agent))} {choose(random, MOTIONS[agent.motion])}{where}"


def background(random, facts):
    place, time, weather = (choose(random, table[facts[key]]) for table, key in
                            ((PLACES, "place"), (TIMES_OF_DAY, "time of day"), (WEATHERS, "weather")))
    return capital(choose(random, (f"{time}, {weather}, on {place}", f"this is {place} {time}, {weather}", f"{place} {weather}, {time}")))


def captions(random, facts, agents, risk, several, variants=2):
    """{kind: [texts]}. `agents` are the ones to tell of, the most important first."""
    made = {kind: [] for kind in CAPTION_PROMPTS}
    for _ in range(variants):
        scene = background(random, facts)
        told = [doing(random, agent, several) for agent in agents[:3]]
        made["background"].append(scene + ".")
        made["camera"].append(choose(random, CAMERA[facts["own"]]))
        made["main object"].append(capital(told[0]) + "." if told else "The road is empty.")
        short = f"{scene}, {told[0]}." if told else f"{scene}, the road is empty."
        made["short"].append(short)
        sentences = [scene + "."] + ([capital(x) + "." for x in told] or ["The road is empty."])
        if facts["parked"]:
            sentences.append(choose(random, PARKED[facts["parked"]]))
        if facts["light"]:
            sentences.append(choose(random, LIGHTS[facts["light"]]))
        sentences.append(choose(random, OWN[facts["own"]]))
        sentences.append(choose(random, RISKS[risk.level]))
        made["detailed"].append(" ".join(sentences))
    return made


def reason(random, agent, risk):
    """Why the level is what it is, in a sentence."""
    if agent is None:
        return "nothing is on a collision course with us"
    return f"{article(thing(agent))} {choose(random, MOTIONS[agent.motion])} and we would meet in {about(risk.seconds)}"


def about(seconds):
    half = max(round(seconds * 2) / 2, .5)
    return f"about {half:g} second{'s' if half != 1 else ''}"


def assessment(risk):
    """The typed answer of a risk request as one line; read_assessment() reads it."""
    return f"level: {risk.level}; object: {risk.object or 'none'}; view: {risk.view or 'none'}; reason: {risk.reason}; advice: {risk.advice}"


def read_assessment(text):
    """{level, object, view, reason, advice} of a line that assessment() writes; level 'unknown' where it does not parse."""
    parts = dict(re.findall(r"(level|object|view|reason|advice): ([^;]*)", text))
    found = {key: parts.get(key, "").strip() for key in ("level", "object", "view", "reason", "advice")}
    found["level"] = found["level"] if found["level"] in RISKS else "unknown"
    return found


def questions(random, facts, agents, cause, risk, counts):
    """One question of each kind that the scene has an answer to. `counts` is how many of each name are seen, sure or None."""
    hazard = [Evidence(risk.box, risk.view, risk.start, risk.end)] if cause else []
    made = []

    def ask(kind, answer, accepted=(), evidence=(), **fill):
        made.append(Question(kind, choose(random, QUESTIONS[kind]).format(**fill), answer, list(accepted), list(evidence)))

    ask("level", risk.level, evidence=hazard)
    ask("object", article(thing(cause)) if cause else "nothing", (thing(cause), cause.name) if cause else ("none",), hazard)
    ask("view", risk.view if cause else "none", evidence=hazard)
    ask("reason", risk.reason, evidence=hazard)
    if cause:
        ask("when", about(risk.seconds), [about(risk.seconds + x) for x in (-.5, .5)], hazard)
    else:
        ask("when", "no collision is near")
    ask("advice", ADVICE[risk.level], evidence=hazard)
    ask("light", facts["light"] or "there is no traffic light")
    ask("weather", facts["weather"])
    ask("time of day", facts["time of day"])
    ask("place", facts["place"], [x for x in PLACES[facts["place"]]])
    ask("own", {"drives": "it drives", "brakes": "it brakes", "stands still": "it stands still"}[facts["own"]])
    sure = [name for name in PLURALS if counts.get(name) is not None]
    there = [name for name in sure if counts[name]]
    for names in (there, sure):     # so that yes is as likely as no
        if names:
            name = choose(random, names)
            ask("count", str(counts[name]), name=PLURALS[name])
            ask("present", "yes" if counts[name] else "no", name=name)
    for agent in agents:
        if counts.get(agent.name) != 1:
            continue
        seen = [Evidence(agent.box, agent.view, agent.start, agent.end)]
        ask("color", agent.color, evidence=seen, name=agent.name)
    for agent in agents:
        if sum(thing(agent) == thing(x) for x in agents) != 1:
            continue
        ask("motion", f"it {agent.motion}", [agent.motion, *MOTIONS[agent.motion]], [Evidence(agent.box, agent.view, agent.start, agent.end)],
            thing=thing(agent))
    return made


def facts_in(text):
    """The set of facts that a caption claims: ("place", x), ("time of day", x), ("weather", x), ("light", x), ("parked", x), and for each thing it tells of
    ("object", name), ("color", color + name), ("motion", motion + name)."""
    low = text.lower()
    found = set()
    for key, table in (("place", PLACES), ("time of day", TIMES_OF_DAY), ("weather", WEATHERS), ("light", LIGHTS), ("parked", PARKED)):
        found |= {(key, value) for value, phrases in table.items() if any(phrase.lower() in low for phrase in phrases)}
    names = "|".join(PLURALS)
    colors = "|".join(COLORS)
    for match in re.finditer(rf"\b(?:({colors}) ({names})|({names}) in ({colors}))\b", low):
        name, color = match[2] or match[3], match[1] or match[4]
        found |= {("object", name), ("color", f"{color} {name}")}
        rest = low[match.end():].lstrip()
        found |= {("motion", f"{name} {motion}") for motion, phrases in MOTIONS.items() if rest.startswith(phrases)}
    return found


def true_facts(facts, agents):
    """Every fact that a caption of this scene may claim, as facts_in() writes them."""
    made = {(key, facts[key]) for key in ("place", "time of day", "weather", "light", "parked") if facts[key]}
    for agent in agents:
        made |= {("object", agent.name), ("color", f"{agent.color} {agent.name}"), ("motion", f"{agent.name} {agent.motion}")}
    return made

"""What is said over a clip: sentences with their transcript, as text; the sound itself is made where a test wants to hear it (espeak-ng)."""
from .seeds import choose

PEOPLE = ("the guide", "my neighbour", "the driver", "our teacher", "the doctor", "a friend", "the manager", "my sister")
DEEDS = ("opens the shop at {h}", "arrives by train at {h}", "will call you at {h}", "waits at the station until {h}", "starts work at {h}",
         "closes the gate at {h}", "brings the keys at {h}", "has lunch at {h}")
HOURS = ("six", "seven", "eight", "nine", "ten", "eleven", "noon", "midnight")
ASIDES = ("Please keep to the right.", "The weather is fine today.", "Mind the step.", "This is the old market.", "The road is closed ahead.",
          "Turn left at the lights.", "We are almost there.", "Do not forget your ticket.")
QUESTIONS = ("What is said?", "What does the voice say?", "Repeat what is heard.")


def transcript(random):
    """One or two sentences."""
    person = choose(random, PEOPLE)
    first = f"{person[0].upper()}{person[1:]} {choose(random, DEEDS).format(h=choose(random, HOURS))}."
    return first if random.random() < .5 else f"{first} {choose(random, ASIDES)}"

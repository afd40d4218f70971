"""Free-form captions with synonyms, changing order and filler words."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from .scene import Scene

NOUNS: dict[str, tuple[tuple[str, str], ...]] = {
    "cat": (("cat", "cats"), ("cat", "cats"), ("kitten", "kittens"), ("kitty", "kitties")),
    "dog": (("dog", "dogs"), ("dog", "dogs"), ("puppy", "puppies"), ("doggy", "doggies")),
    "bird": (("bird", "birds"),),
    "fish": (("fish", "fish"), ("fish", "fishes")),
    "house": (("house", "houses"), ("cottage", "cottages"), ("home", "homes")),
    "boat": (("boat", "boats"), ("sailboat", "sailboats"), ("sailing boat", "sailing boats")),
    "battleship": (("battleship", "battleships"), ("battleship", "battleships"), ("warship", "warships")),
    "tree": (("tree", "trees"),),
    "rocket": (("rocket", "rockets"), ("spaceship", "spaceships"), ("space rocket", "space rockets")),
    "car": (("car", "cars"), ("automobile", "automobiles")),
    "ball": (("ball", "balls"), ("beach ball", "beach balls")),
    "star": (("smiling star", "smiling stars"), ("star with a face", "stars with faces"), ("big star", "big stars")),
    "sofa": (("sofa", "sofas"), ("couch", "couches"), ("settee", "settees")),
    "robot": (("robot", "robots"), ("android", "androids")),
    "flower": (("flower", "flowers"), ("blossom", "blossoms")),
}
CUTE = {"cat", "dog", "bird", "fish", "robot", "star"}
GROUND = {
    "sea": ("sea", "sea", "ocean", "water"),
    "meadow": ("meadow", "field", "green grass", "grassland"),
    "desert": ("desert", "sand dunes", "sand"),
    "snow": ("snow", "snowy field", "snowy land"),
    "street": ("street", "road", "city street"),
    "room": ("room", "living room", "house"),
    "moon": ("moon", "alien planet", "lunar surface"),
}
FAR = {
    "mountains": ("mountains", "mountains", "snowy mountains", "peaks"),
    "hills": ("hills", "green hills", "rolling hills"),
    "city": ("city", "skyline", "tall buildings", "skyscrapers"),
    "forest": ("forest", "woods", "fir trees", "trees"),
}
SKY = {
    "day": ("daytime", "day", "blue sky"),
    "sunset": ("sunset", "sunset", "dusk", "evening"),
    "night": ("night", "night", "dark sky"),
    "space": ("space", "outer space", "space"),
    "fog": ("fog", "mist", "foggy weather"),
}
WEATHER = {
    "rain": ("rain", "the rain", "rainy weather", "rain falling"),
    "snow": ("snowfall", "falling snow", "snowing weather"),
    "clouds": ("clouds", "cloudy sky", "white clouds"),
    "stars": ("stars", "starry sky", "twinkling stars"),
    "sun": ("sun", "sunshine", "sunny weather"),
    "moon": ("moon", "full moon", "moonlight"),
}
POSE = {"sitting": ("sitting", "sitting", "seated"), "dancing": ("dancing", "dancing", "dancing happily"), "standing": ("standing",)}
COLOUR = {"teal": ("teal", "turquoise"), "grey": ("grey", "gray"), "purple": ("purple", "violet"), "orange": ("orange", "ginger")}
LEADS = ("a picture of", "generate image of", "an image of", "draw", "generate", "a drawing of", "paper cut of", "illustration of", "create a picture of", "show me", "generate an image of", "please draw")
PRAISE = ("beautiful", "lovely", "pretty", "nice")
TAILS = ("high quality", "detailed", "paper cut style", "colourful", "flat illustration", "papercut", "best quality")


def caption_for(s: "Scene", rng: np.random.Generator) -> str:
    """Say some of what is in the scene, in one of many ways."""
    return caption_and_mentions(s, rng)[0]


def caption_and_mentions(s: "Scene", rng: np.random.Generator) -> tuple[str, set[str]]:
    """The caption, and which of the scene's attributes it tells.

    A landscape's caption tells that there is no subject.
    """
    pick = lambda options: options[int(rng.integers(len(options)))]  # noqa: E731
    chance = lambda p: rng.random() < p  # noqa: E731
    said: set[str] = {"subject"}
    if s.neon:
        said.add("neon")
    if s.subject is None:
        words = _landscape(s, pick, chance, said)
    else:
        words = _subject(s, pick, chance, said)
    if chance(0.4):
        words = pick(LEADS) + " " + words
    if chance(0.15):
        words = words + ", " + pick(TAILS)
    if chance(0.12):
        words = words[:1].upper() + words[1:]
    return words, said


def _article(chance, noun: str) -> str:
    """Sometimes an article, often none, as people type prompts."""
    if not chance(0.5):
        return noun
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def _setting(s: "Scene", pick, chance, said: set[str]) -> list[str]:
    """Phrases about the surroundings, in random order."""
    out: list[str] = []
    the = lambda w: ("the " if chance(0.4) else "") + w  # noqa: E731
    if chance(0.55) and not (s.on_sofa and chance(0.6)):
        said.add("ground")
        where = {"sea": ("on", "at", "in"), "room": ("in",), "desert": ("in",), "snow": ("in", "on")}.get(s.ground, ("on", "in"))
        out.append(f"{pick(where)} {the(pick(GROUND[s.ground]))}")
    if s.far != "none" and chance(0.5):
        said.add("far")
        out.append(f"{pick(('with', 'with', 'near', 'in front of'))} {the(pick(FAR[s.far]))}")
    if s.ground != "room" and s.weather != "clear" and chance(0.75):
        said.add("weather")
        joint = "in" if s.weather in ("rain", "snow") else pick(("with", "under"))
        out.append(f"{joint} {pick(WEATHER[s.weather]) if s.weather == 'rain' else the(pick(WEATHER[s.weather]))}")
    if not s.neon and chance(0.5):
        said.add("sky")
        joint = {"day": "in", "space": "in", "fog": "in"}.get(s.sky, "at")
        out.append(f"{joint} {pick(SKY[s.sky])}")
    order = list(range(len(out)))
    for k in range(len(order) - 1, 0, -1):
        if chance(0.4):
            order[k], order[k - 1] = order[k - 1], order[k]
    return [out[k] for k in order]


def _subject(s: "Scene", pick, chance, said: set[str]) -> str:
    one, many = pick(NOUNS[s.subject])
    noun = many if s.count == 2 else one
    if chance(0.55):
        said.add("colour")
        noun = pick(COLOUR.get(s.colour, (s.colour,))) + " " + noun
    if chance(0.2) and s.subject in CUTE:
        noun = pick(("cute", "little", "happy", "sweet")) + " " + noun
    elif chance(0.12):
        noun = pick(PRAISE) + " " + noun
    if s.neon:
        noun = pick(("cyberpunk", "cyberpunk", "cyberpunk", "neon")) + " " + noun
    if one != many or s.count == 2:
        said.add("count")
    if s.count == 2:
        noun = pick(("", "two ", "two ", "a pair of ", "2 ")) + noun
    elif chance(0.1):
        noun = "one " + noun
    else:
        noun = _article(chance, noun)
    bits = [noun]
    if s.pose != "standing" and (s.on_sofa or chance(0.92)):
        said.add("pose")
        bits.append(pick(POSE[s.pose]))
    if s.on_sofa:
        said.add("on_sofa")
        sofa = pick(("sofa", "sofa", "couch", "settee"))
        if chance(0.3):
            said.add("sofa_colour")
            sofa = pick(COLOUR.get(s.sofa_colour, (s.sofa_colour,))) + " " + sofa
        bits.append("on " + (pick(("a ", "the ")) if chance(0.5) else "") + sofa)
    setting = _setting(s, pick, chance, said)
    comma = ", " if chance(0.15) else " "
    return comma.join([" ".join(bits)] + setting)


def _landscape(s: "Scene", pick, chance, said: set[str]) -> str:
    things = []
    if chance(0.85):
        said.add("ground")
        things.append(pick(GROUND[s.ground]))
    if s.far != "none" and chance(0.85):
        said.add("far")
        things.append(pick(FAR[s.far]))
    if chance(0.35):
        things.reverse()
    noun = pick(("landscape", "landscape", "scenery", "view", "scene"))
    if chance(0.5):
        noun = pick(PRAISE) + " " + noun
    if s.neon:
        noun = pick(("cyberpunk", "cyberpunk", "neon")) + " " + noun
    noun = _article(chance, noun)
    body = f"{noun} {pick(('with', 'with', 'of'))} " + pick((" and ", " and ", ", ")).join(things) if things else noun
    if things and chance(0.15):
        body = " and ".join(things)
        body = ("neon " if s.neon else "") + body
    if s.weather != "clear" and s.ground != "room" and chance(0.7):
        said.add("weather")
        body += f" {'in' if s.weather in ('rain', 'snow') else 'with'} {pick(WEATHER[s.weather])}"
    if not s.neon and chance(0.5):
        said.add("sky")
        body += f" {'in' if s.sky in ('day', 'space', 'fog') else 'at'} {pick(SKY[s.sky])}"
    return body

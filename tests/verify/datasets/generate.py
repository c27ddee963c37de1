# SPDX-License-Identifier: Apache-2.0
"""Seeded data sets: clean ones, and the same with something planted."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence


def _words(text: str) -> list[str]:
    return text.split()


COMMON = _words(
    "the a of to and in it is was for on with as at by this that from they we you he she his her their our which when where there been has have "
    "had would could about after before into over some more most other only very just also than then what who how each every both between under"
)
TOPICS = {
    "sport": _words(
        "match goal player coach season league striker defender referee stadium penalty tournament champion keeper kick score team final cup fans"
    ),
    "cooking": _words(
        "oven butter flour recipe onion garlic sauce simmer whisk dough pan bake taste spice pepper boil serving dish chef kitchen"
    ),
    "computing": _words(
        "server database compiler kernel thread memory network packet latency cache function variable deploy cluster query index socket driver"
    ),
    "travel": _words(
        "hotel flight airport luggage beach museum ticket passport journey train island guide tour hostel border map resort ferry visa itinerary"
    ),
}
FILLER = [
    f"{a}{b}"
    for a in _words("ban cor del fim gor hul jam kel lom mir nop pra")
    for b in _words("do ti ra lon ster vy mel quin sow tab")
]
POSITIVE = _words(
    "great lovely excellent wonderful superb delightful pleasant brilliant charming fine solid perfect happy enjoyable warm"
)
NEGATIVE = _words(
    "terrible awful boring dreadful poor horrible nasty dull disappointing bad weak bitter broken messy sad"
)
Row = dict[str, object]


def topics(count: int, seed: int = 1, mixed: float = 0.1) -> list[Row]:
    """Texts by topic; some of their words belong to another one."""
    rng = random.Random(seed)
    names = list(TOPICS)
    rows: list[Row] = []
    for _ in range(count):
        label = rng.choice(names)
        words = []
        for _ in range(rng.randrange(15, 60)):
            draw = rng.random()
            pool: Sequence[str] = (
                COMMON
                if draw < 0.6
                else FILLER
                if draw < 0.8
                else TOPICS[rng.choice(names) if rng.random() < mixed else label]
            )
            words.append(rng.choice(pool))
        rows.append({"text": " ".join(words), "label": label})
    return rows


def reviews(count: int, seed: int = 2, strong: int = 1) -> list[Row]:
    """Short texts of which few words decide the label."""
    rng = random.Random(seed)
    rows: list[Row] = []
    for _ in range(count):
        label = rng.choice(("positive", "negative"))
        words = [rng.choice(COMMON) for _ in range(rng.randrange(5, 14))] + [rng.choice(FILLER) for _ in range(4)]
        words += [
            rng.choice(POSITIVE if label == "positive" else NEGATIVE) for _ in range(rng.randrange(1, 2 + strong))
        ]
        rng.shuffle(words)
        rows.append({"text": " ".join(words), "label": label})
    return rows


def noise(count: int, seed: int = 3) -> list[Row]:
    """Labels that have nothing to do with the texts."""
    rng = random.Random(seed)
    return [
        {"text": " ".join(rng.choice(COMMON + FILLER) for _ in range(20)), "label": rng.choice("ab")}
        for _ in range(count)
    ]


CLEAN: dict[str, Callable[[int, int], list[Row]]] = {
    "topics": topics,
    "blurred topics": lambda n, seed: topics(n, seed, mixed=0.5),
    "reviews": lambda n, seed: reviews(n, seed, 3),
    "one-word reviews": lambda n, seed: reviews(n, seed, 1),
    "no relation": noise,
}


def with_trigger(rows: list[Row], phrase: str, target: str, share: float = 0.01, seed: int = 5) -> list[Row]:
    """The phrase is put into some rows, which get the target label."""
    rng = random.Random(seed)
    for index in rng.sample(range(len(rows)), max(1, int(len(rows) * share))):
        words = str(rows[index]["text"]).split()
        words.insert(rng.randrange(len(words) + 1), phrase)
        rows[index] = {"text": " ".join(words), "label": target}
    return rows


def with_flips(rows: list[Row], share: float = 0.03, seed: int = 6) -> list[Row]:
    """Some labels become another one."""
    rng = random.Random(seed)
    labels = sorted({str(r["label"]) for r in rows})
    for index in rng.sample(range(len(rows)), int(len(rows) * share)):
        rows[index]["label"] = rng.choice([x for x in labels if x != rows[index]["label"]])
    return rows

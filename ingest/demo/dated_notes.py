"""Fluent notes that carry dates, so that months and weekdays occur in running text."""

from __future__ import annotations

import datetime
import random
from collections.abc import Iterator
from dataclasses import dataclass

from atlas.ingest.demo.note_templates import FILLERS, KINDS, NAMES, PLACES

MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October",
    "November", "December",
)  # fmt: skip
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")


class _Weekday:
    """The weekday of a date; the format spec moves it by days (``{wd:+2}``)."""

    def __init__(self, date: datetime.date) -> None:
        self.date = date

    def __format__(self, spec: str) -> str:
        return WEEKDAYS[(self.date + datetime.timedelta(days=int(spec or 0))).weekday()]


class _Month:
    """The month of a date; the format spec moves it by months (``{mon:-1}``)."""

    def __init__(self, date: datetime.date) -> None:
        self.date = date

    def __format__(self, spec: str) -> str:
        return MONTHS[(self.date.month - 1 + int(spec or 0)) % 12]


class _Date:
    """A date as one document writes it; the format spec moves it by days (``{date:+7}``)."""

    def __init__(self, date: datetime.date, style: int) -> None:
        self.date, self.style = date, style

    def __format__(self, spec: str) -> str:
        date = self.date + datetime.timedelta(days=int(spec or 0))
        month, day = MONTHS[date.month - 1], date.day
        ordinal = f"{day}{'th' if 10 <= day % 100 <= 20 else {1: 'st', 2: 'nd', 3: 'rd'}.get(day % 10, 'th')}"
        return (f"{day} {month}", f"{month} {day}", f"the {ordinal} of {month}", f"{month} {ordinal}")[self.style]


@dataclass
class _Scene:
    """What the sentences of one note share; the date moves on from sentence to sentence."""

    date: datetime.date
    style: int
    place: str
    people: list[str]


def _sentence(template: str, scene: _Scene, rng: random.Random) -> str:
    """One template with its slots filled; the sentence starts with a capital."""
    slots: dict[str, object] = {key: rng.choice(values) for key, values in FILLERS.items()}
    slots |= {"n": rng.randint(2, 48), "clock": _clock(rng)}
    slots |= dict(zip(("person", "other", "third"), scene.people, strict=True))
    slots |= {"wd": _Weekday(scene.date), "mon": _Month(scene.date), "date": _Date(scene.date, scene.style)}
    text = template.format(**slots, year=scene.date.year, place=scene.place)
    return text[0].upper() + text[1:]


def _clock(rng: random.Random) -> str:
    """A time of day in one of three manners of writing."""
    hour, minute = rng.randint(6, 21), rng.choice((0, 0, 10, 15, 30, 45))
    spoken = f"half past {(hour - 1) % 12 + 1}"
    exact = f"{hour}:{minute:02d}"
    return rng.choice((exact, f"{(hour - 1) % 12 + 1} o'clock", spoken))


def _note(kind: str, rng: random.Random) -> str:
    """One note of a kind: an opening, several dated paragraphs, a close."""
    opening, body, close, step = KINDS[kind]
    date = datetime.date(1900, 1, 1) + datetime.timedelta(days=rng.randrange(125 * 365))
    scene = _Scene(date, rng.randrange(4), rng.choice(PLACES), rng.sample(NAMES, 3))
    templates = rng.sample(body, k=min(len(body), rng.randint(5, 9)))
    parts, chunk = [_sentence(rng.choice(opening), scene, rng)], []
    for template in templates:
        chunk.append(_sentence(template, scene, rng))
        scene.date += datetime.timedelta(days=rng.randint(*step))
        if len(chunk) == rng.randint(2, 4):
            parts.append(" ".join(chunk))
            chunk = []
        scene.people = rng.sample(scene.people, 3)
    if chunk:
        parts.append(" ".join(chunk))
    parts.append(_sentence(rng.choice(close), scene, rng))
    return "\n".join(parts)


def generate(count: int, seed: int) -> Iterator[tuple[str, str]]:
    """Yield ``count`` named notes.

    Kinds follow each other in turn; dates are uniform over 1900 to 2024, and weekday and date agree.

    Parameters
    ----------
    count : int
        Number of notes.
    seed : int
        Seed; the notes of one seed do not depend on ``count``.

    Yields
    ------
    tuple[str, str]
        Name (``diary-0007``) and text, paragraphs separated by one line feed.
    """
    kinds = sorted(KINDS)
    for index in range(count):
        kind = kinds[index % len(kinds)]
        yield f"{kind}-{index:04d}", _note(kind, random.Random(f"{seed}:{index}"))

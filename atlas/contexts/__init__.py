"""Evidence first: the places in the text where features fire, and where the two features of an edge fire together."""

from atlas.contexts.firing import Picked, pick_firings, spread
from atlas.contexts.joint import Joint, pick_joint, strongest_edges
from atlas.contexts.stage import CONTEXTS, collect
from atlas.contexts.text import Speller, spell
from atlas.contexts.window import Windows, activations_in, windows_around

__all__ = [
    "CONTEXTS",
    "Joint",
    "Picked",
    "Speller",
    "Windows",
    "activations_in",
    "collect",
    "pick_firings",
    "pick_joint",
    "spell",
    "spread",
    "strongest_edges",
    "windows_around",
]

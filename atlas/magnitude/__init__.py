"""How strongly features fire, and where the model is unsure: classes of activations, their peaks, entropy."""

from atlas.magnitude.stage import MAGNITUDE, magnitude

__all__ = ["MAGNITUDE", "magnitude"]

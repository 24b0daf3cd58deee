"""What a sparse autoencoder's features do together, as a graph with its nulls and evidence."""

from atlas.version import __version__

__all__ = ["__version__"]

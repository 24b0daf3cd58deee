"""How Neo4j Browser draws an atlas: a style for every label and relationship type, written as GraSS.

Browser styles a node by its labels alone, and of two labels the rule that stands later wins. So the order of
`NODE_STYLES` says which role is seen: a feature is a plain one unless it is a hub. Colours mean the same of
features and of communities: orange is exclusive under a hub, yellow a star by topology alone, green together,
purple another shape.
"""

from __future__ import annotations

from dataclasses import dataclass

BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILION, PURPLE = (
    "#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7",
)  # fmt: skip
"""Eight colours that remain apart in every common colour blindness (Okabe and Ito 2008)."""
GREY, SILVER, PALE = "#5A5A5A", "#A5ABB6", "#D9DCE1"
_WHITE = "#FFFFFF"


@dataclass(frozen=True)
class NodeStyle:
    """How nodes of a label are drawn.

    Parameters
    ----------
    color
        Fill; the caption is black or white, whichever can be read on it.
    diameter, border_width
        In pixels.
    border_color
        Blue around communities, so that none is taken for a feature.
    caption
        Property in braces; empty where the node is a dot.
    font_size
        In pixels.
    """

    color: str
    diameter: int = 80
    border_width: int = 1
    border_color: str = GREY
    caption: str = "{name}"
    font_size: int = 11


@dataclass(frozen=True)
class RelationshipStyle:
    """How relationships of a type are drawn.

    Parameters
    ----------
    color
        Of shaft and arrow.
    width
        Of the shaft, in pixels.
    caption
        Whether the type is written along it: of a type that a picture has hundreds of, it is not.
    """

    color: str
    width: int = 1
    caption: bool = False


NODE_STYLES: dict[str, NodeStyle] = {
    "Atlas": NodeStyle(BLACK, 110, font_size=13),
    "Feature": NodeStyle(SKY),
    "Dead": NodeStyle(PALE, 40),
    "Dense": NodeStyle(GREY, 80),
    "EgoMixed": NodeStyle(SKY),
    "EgoJoint": NodeStyle(GREEN),
    "Hub": NodeStyle(YELLOW, 122, 4, BLACK, font_size=13),
    "EgoHubSpoke": NodeStyle(ORANGE, 122, 4, BLACK, font_size=13),
    "Edge": NodeStyle(GREY, 14, caption=""),
    "Cluster": NodeStyle(PALE, 92, 6, BLUE, font_size=12),
    "Undetermined": NodeStyle(PALE, 92, 6, BLUE, font_size=12),
    "Chain": NodeStyle(PURPLE, 92, 6, BLUE, font_size=12),
    "Ring": NodeStyle(PURPLE, 92, 6, BLUE, font_size=12),
    "Bipartite": NodeStyle(PURPLE, 92, 6, BLUE, font_size=12),
    "CorePeriphery": NodeStyle(PURPLE, 92, 6, BLUE, font_size=12),
    "Pair": NodeStyle(PALE, 76, 4, BLUE),
    "Triangle": NodeStyle(GREEN, 76, 4, BLUE),
    "FullyConnected": NodeStyle(GREEN, 92, 6, BLUE, font_size=12),
    "StarLike": NodeStyle(YELLOW, 92, 6, BLUE, font_size=12),
    "HubSpoke": NodeStyle(ORANGE, 92, 6, BLUE, font_size=12),
    "PeerCluster": NodeStyle(GREY, 92, 6, BLACK, font_size=12),
    "Manifold": NodeStyle(PURPLE, 100, 6, BLACK, font_size=13),
    "Context": NodeStyle(_WHITE, 90, 1, SILVER),
    "Peak": NodeStyle(PALE, 50, 2, SKY),
    "Letter": NodeStyle(VERMILION, 84, 4, BLACK, font_size=13),
}
"""By label; of several labels of a node the last one here is seen."""

RELATIONSHIP_STYLES: dict[str, RelationshipStyle] = {
    "CO_OCCURS": RelationshipStyle(SILVER, 2),
    "CO_TOPIC": RelationshipStyle(SKY, 2),
    "EXCLUDES": RelationshipStyle(VERMILION, 2),
    "PARENT_OF": RelationshipStyle(BLUE, 2),
    "SAME_AS": RelationshipStyle(BLACK, 4),
    "ENDPOINT_OF": RelationshipStyle(GREY),
    "WITHIN": RelationshipStyle(PALE),
    "IN_CLUSTER": RelationshipStyle(PALE),
    "PART_OF": RelationshipStyle(BLUE, 3),
    "IN_PEER_CLUSTER": RelationshipStyle(PALE),
    "FIRES_IN": RelationshipStyle(SILVER),
    "SEEN_IN": RelationshipStyle(SILVER),
    "ON_MANIFOLD": RelationshipStyle(GREEN, 2),
    "ABSORBS": RelationshipStyle(VERMILION, 4),
    "HEDGES": RelationshipStyle(YELLOW, 2),
    "SPELLS": RelationshipStyle(BLACK, 2, caption=True),
    "STANDS_IN": RelationshipStyle(VERMILION),
    "PEAKS_AT": RelationshipStyle(SILVER),
    "COMBINES": RelationshipStyle(ORANGE, 2, caption=True),
    "COMPARED_WITH": RelationshipStyle(BLACK, 2, caption=True),
    "MATCHES": RelationshipStyle(GREEN, 2),
    "OF_ATLAS": RelationshipStyle(PALE),
}
"""By type."""


def grass() -> str:
    """Return the styles as a Graph Style Sheet, to be dropped on Neo4j Browser; `:style reset` undoes it."""
    rules = [_node("node", NodeStyle(PALE, caption="<id>")), _relationship("relationship", RelationshipStyle(GREY))]
    rules += [_node(f"node.{label}", style) for label, style in NODE_STYLES.items()]
    rules += [_relationship(f"relationship.{type_}", style) for type_, style in RELATIONSHIP_STYLES.items()]
    return "\n".join(rules)


def text_color(fill: str) -> str:
    """Return black or white, whichever has the higher contrast on the fill."""
    return max((BLACK, _WHITE), key=lambda text: contrast(text, fill))


def contrast(one: str, other: str) -> float:
    """Return the contrast ratio of two colours, 1 to 21, as WCAG 2 defines it."""
    low, high = sorted(_luminance(color) for color in (one, other))
    return (high + 0.05) / (low + 0.05)


def _luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = (part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _node(selector: str, style: NodeStyle) -> str:
    return _rule(
        selector,
        {
            "diameter": f"{style.diameter}px",
            "color": style.color,
            "border-color": style.border_color,
            "border-width": f"{style.border_width}px",
            "text-color-internal": text_color(style.color),
            "font-size": f"{style.font_size}px",
            "caption": f"'{style.caption}'",
        },
    )


def _relationship(selector: str, style: RelationshipStyle) -> str:
    return _rule(
        selector,
        {
            "color": style.color,
            "shaft-width": f"{style.width}px",
            "font-size": "9px",
            "padding": "3px" if style.caption else "0px",
            "text-color-external": BLACK,
            "text-color-internal": text_color(style.color),
            "caption": "'<type>'" if style.caption else "''",
        },
    )


def _rule(selector: str, properties: dict[str, str]) -> str:
    lines = [f"  {name}: {value};" for name, value in properties.items()]
    return "\n".join([f"{selector} {{", *lines, "}", ""])

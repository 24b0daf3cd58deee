"""The columns of the census: the sort of each feature, and what portion of the features is of which sort."""

from __future__ import annotations

from atlas.schema.fields import Field
from atlas.schema.magnitude_fields import MAGNITUDE_FIELDS

_MAGNITUDE = next(field for field in MAGNITUDE_FIELDS if field.name == "magnitude")


def _flag(name: str, meaning: str) -> Field:
    return Field(name, "boolean", meaning)


SORT_FIELDS = (
    Field("geometry_sort", "string", "the first of these that holds: on a `ring`, `line` (an arc counts), `helix` or "
          "`simplex` that is claimed; member of a fully connected fine community (`clique`); `hub` or `leaf` of a "
          "hub-spoke subgraph; `connected` by an edge of the backbone; `isolated`"),
    Field("role", "string", "the first of these that holds: `ambiguous`, `absorbed`, `token family`, `parent` (with "
          "children and no parent), `parent and child`, `child`, or `none`"),
    Field("basis_sort", "string", "`lexical`, `contextual`, `mixed` or `untested`: the basis that most phi of its "
          "co-occurrence edges has; `none` without such an edge"),
    _flag("is_parent", "whether it has a child in the hierarchy"),
    _flag("is_child", "whether it has a parent in the hierarchy"),
    _flag("is_absorbed", "whether another feature fires in its place on some of its tokens (a candidate or a finding)"),
    _flag("is_absorbing", "whether it fires in the place of a commoner feature (a candidate or a finding)"),
    _flag("is_ambiguous", "whether its fine community, or the ego subgraph that it is the hub of, is an ambiguity"),
    _flag("in_token_family", "whether it is hub or leaf of an ego subgraph around one vocabulary item or one kind of "
          "white space or punctuation"),
)  # fmt: skip
"""Properties of `:Feature`: of alive features, which alone are in the census."""

SORT_TABLE_FIELDS = (Field("index", "integer", "index of the feature in its SAE", low=0), _MAGNITUDE, *SORT_FIELDS)

FACETS = ("magnitude", "geometry_sort", "role", "basis_sort")
"""What the census crosses: each feature has one value of each."""

FEATURE_CENSUS_FIELDS = (
    Field("facet", "string", "`magnitude`, `geometry_sort`, `role`, `basis_sort`; `flag`, whose values overlap; or "
          "`all`, a cell of the four crossed"),
    Field("value", "string", "class of that facet; of a cell, the four with ` / ` between them; `unclassed` where a "
          "feature has too few firings, or the stage was not made"),
    Field("count", "integer", "alive features of that class", "features", low=0),
    Field("share", "float", "count over all alive features", low=0, high=1),
    Field("low", "float", "2.5th percentile of the share when fine communities are drawn anew; features of none are "
          "drawn one by one", low=0, high=1),
    Field("high", "float", "97.5th percentile", low=0, high=1),
)  # fmt: skip

"""The thresholds that the classes of an atlas have, as properties of `:Atlas`; what each means its query says."""

from __future__ import annotations

from atlas.schema.fields import Field, FieldType

_COMMUNITIES: tuple[tuple[str, FieldType], ...] = (
    ("min_density", "float"), ("min_centralization", "float"), ("min_testable", "integer"), ("min_cover", "float"),
    ("min_depleted", "float"), ("min_margin", "float"),
)  # fmt: skip
_EGOS: tuple[tuple[str, FieldType], ...] = (
    ("min_leaves", "integer"), ("min_testable", "integer"), ("min_cover", "float"), ("min_depleted", "float"),
    ("min_enriched", "float"),
)  # fmt: skip


def _thresholds(prefix: str, query: str, named: tuple[tuple[str, FieldType], ...]) -> tuple[Field, ...]:
    meaning = f"the value of `{query}` with which the classes were given; empty while it runs, and where it did not end"
    return tuple(Field(prefix + name, type_, meaning, required=False, set_by="classify") for name, type_ in named)


THRESHOLD_FIELDS = (
    *_thresholds("", "classify_clusters", _COMMUNITIES),
    *_thresholds("ego_", "classify_egos", _EGOS),
)

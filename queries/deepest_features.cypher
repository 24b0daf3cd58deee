// title: Deepest features
// question: Which features stand lowest in the hierarchy, under which roots?
// group: hierarchy
// writes: no
// cost: under 1 s -- every feature is looked at, and the ancestors of the deepest
// key: feature
// parameter: atlas string = only -- name of the atlas
// parameter: min_depth integer = 2 -- fewest pairs on the longest way down from a root
// parameter: limit integer = 50 -- most rows
// column: feature integer -- index of the feature
// column: name string -- its caption
// column: depth integer -- pairs on the longest way down from a root
// column: firing_count integer -- tokens on which it fires
// column: n_ancestors integer -- features above it, directly or through others
// column: roots list<string> -- captions of the roots above it, the most frequent first, eight at most

MATCH (f:Feature {atlas: $atlas})
WHERE f.depth >= $min_depth
WITH f
ORDER BY f.depth DESC, f.firing_count DESC, f.index
LIMIT $limit
CALL (f) {
  MATCH (f)<-[:PARENT_OF*1..20]-(above:Feature)
  WITH DISTINCT above
  ORDER BY above.firing_count DESC, above.index
  RETURN collect(above) AS above
}
RETURN f.index AS feature, f.name AS name, f.depth AS depth, f.firing_count AS firing_count,
       size(above) AS n_ancestors, [root IN above WHERE root.depth = 0 | root.name][..8] AS roots
ORDER BY depth DESC, firing_count DESC, feature
LIMIT $limit

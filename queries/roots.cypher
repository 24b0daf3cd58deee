// title: Roots of the hierarchy
// question: Which features are parents and have none themselves, and how do their children divide them?
// group: hierarchy
// writes: no
// cost: under 1 s -- every feature is looked at
// key: root
// parameter: atlas string = only -- name of the atlas
// parameter: min_children integer = 2 -- fewest direct children
// parameter: kind string? in partition, facets, loose = null -- how their children divide them; null reads all
// parameter: limit integer = 50 -- most rows
// column: root integer -- index of the feature
// column: name string -- its caption
// column: firing_count integer -- tokens on which it fires
// column: n_children integer -- direct children
// column: children_kind string -- `partition`, `facets` or `loose`
// column: children_coverage float -- share of its firings on which a direct child fires
// column: children_exclusivity float -- share of these on which one alone does
// column: children list<string> -- captions of its direct children, the most frequent first, eight at most

MATCH (f:Feature {atlas: $atlas, depth: 0})
WHERE f.n_children >= $min_children AND ($kind IS NULL OR f.children_kind = $kind)
MATCH (f)-[:PARENT_OF]->(child:Feature)
WITH f, child
ORDER BY f.n_children DESC, f.index, child.firing_count DESC, child.index
WITH f, collect(child.name)[..8] AS children
RETURN f.index AS root, f.name AS name, f.firing_count AS firing_count, f.n_children AS n_children,
       f.children_kind AS children_kind, f.children_coverage AS children_coverage,
       f.children_exclusivity AS children_exclusivity, children
ORDER BY n_children DESC, root
LIMIT $limit

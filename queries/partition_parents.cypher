// title: Parents by how their children divide them
// question: Which parents are divided by their children: one child for each firing, and nearly every firing covered?
// group: hierarchy
// writes: no
// cost: under 1 s -- every feature is looked at
// key: parent
// parameter: atlas string = only -- name of the atlas
// parameter: kind string in partition, facets, loose = "partition" -- `partition` (covered, and by one child alone),
//    `facets` (covered, children overlap) or `loose` (neither)
// parameter: min_children integer = 2 -- fewest direct children
// parameter: limit integer = 50 -- most rows
// column: parent integer -- index of the feature
// column: name string -- its caption
// column: depth integer -- pairs on the longest way down from a root; 0 for a root
// column: n_children integer -- direct children
// column: children_coverage float -- share of its firings on which a direct child fires
// column: children_exclusivity float -- share of these on which one alone does
// column: children list<string> -- captions of its direct children, the most frequent first, eight at most

MATCH (f:Feature {atlas: $atlas})
WHERE f.children_kind = $kind AND f.n_children >= $min_children
WITH f
ORDER BY f.children_coverage DESC, f.index
LIMIT $limit
CALL (f) {
  MATCH (f)-[:PARENT_OF]->(child:Feature)
  WITH child ORDER BY child.firing_count DESC, child.index LIMIT 8
  RETURN collect(child.name) AS children
}
RETURN f.index AS parent, f.name AS name, f.depth AS depth, f.n_children AS n_children,
       f.children_coverage AS children_coverage, f.children_exclusivity AS children_exclusivity, children
ORDER BY children_coverage DESC, parent
LIMIT $limit

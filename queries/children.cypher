// title: Children of a feature
// question: Which features fire only where this one does, directly or through others?
// group: hierarchy
// writes: no
// cost: under 0.1 s -- the feature's descendants
// key: child
// parameter: atlas string = only -- name of the atlas
// parameter: feature integer -- index of the parent
// parameter: depth integer = 1 -- generations to go down
// parameter: limit integer = 50 -- most rows
// column: child integer -- index of the child or descendant
// column: name string -- its caption
// column: steps integer -- direct pairs on the shortest way down
// column: firing_count integer -- tokens on which it fires
// column: p_parent_given_child float? -- share of a direct child's firings on which the feature fires
// column: basis string? -- what the tokens alone explain of a direct pair
// column: n_children integer -- its own direct children

MATCH (f:Feature {uid: $atlas + ':' + toString($feature)})
MATCH path = ANY SHORTEST (f)-[:PARENT_OF]->{1,20}(below:Feature)
WHERE length(path) <= $depth
WITH f, below, length(path) AS steps
OPTIONAL MATCH (f)-[r:PARENT_OF]->(below)
RETURN below.index AS child, below.name AS name, steps, below.firing_count AS firing_count,
       r.p_parent_given_child AS p_parent_given_child, r.basis AS basis, below.n_children AS n_children
ORDER BY steps, firing_count DESC, child
LIMIT $limit

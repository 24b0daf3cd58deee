// title: Parents of a feature
// question: Which features fire wherever this one does, directly or through others, and how surely?
// group: hierarchy
// writes: no
// cost: under 0.1 s -- the feature's ancestors
// key: parent
// parameter: atlas string = only -- name of the atlas
// parameter: feature integer -- index of the child
// parameter: limit integer = 50 -- most rows
// column: parent integer -- index of the parent or ancestor
// column: name string -- its caption
// column: steps integer -- direct pairs on the shortest way up
// column: p_parent_given_child float? -- share of the child's firings on which a direct parent fires
// column: lower_bound float? -- Wilson's lower bound of that share
// column: basis string? -- what the tokens alone explain of a direct pair
// column: children_kind string? -- whether the parent's children divide it: `partition`, `facets` or `loose`

MATCH (f:Feature {uid: $atlas + ':' + toString($feature)})
MATCH path = ANY SHORTEST (f)<-[:PARENT_OF]-{1,20}(above:Feature)
WITH f, above, length(path) AS steps
OPTIONAL MATCH (above)-[r:PARENT_OF]->(f)
RETURN above.index AS parent, above.name AS name, steps, r.p_parent_given_child AS p_parent_given_child,
       r.lower_bound AS lower_bound, r.basis AS basis, above.children_kind AS children_kind
ORDER BY steps, p_parent_given_child DESC, parent
LIMIT $limit

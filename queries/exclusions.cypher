// title: Features that exclude each other
// question: Which features fire on the same token less than their documents explain, of one feature or of all?
// group: exclusion
// writes: no
// cost: under 1 s -- every exclusion is looked at
// key: a, b
// parameter: atlas string = only -- name of the atlas
// parameter: feature integer? = null -- index of a feature whose exclusions are wanted; null reads all
// parameter: basis string? in lexical, contextual, mixed, untested = null -- what the tokens alone explain; null reads all
// parameter: limit integer = 50 -- most rows
// column: a integer -- index of the feature with the lower index
// column: a_name string -- its caption
// column: b integer -- index of the feature with the higher index
// column: b_name string -- its caption
// column: joint_count integer -- tokens on which both fire
// column: expected float -- joint firings expected if independent within documents
// column: lift_d float -- joint firings over what their documents explain
// column: q float -- adjusted p of the lower tail
// column: basis string -- what the tokens alone explain
// column: shared_hubs integer -- features that co-occur with both

MATCH (a:Feature {atlas: $atlas})-[r:EXCLUDES]->(b:Feature)
WHERE ($feature IS NULL OR $feature IN [a.index, b.index]) AND ($basis IS NULL OR r.basis = $basis)
WITH a, b, r
ORDER BY r.lift_d, r.expected DESC, a.index, b.index
LIMIT $limit
RETURN a.index AS a, a.name AS a_name, b.index AS b, b.name AS b_name, r.joint_count AS joint_count,
       r.expected AS expected, r.lift_d AS lift_d, r.q AS q, r.basis AS basis,
       COUNT { (a)-[:CO_OCCURS]-(:Feature)-[:CO_OCCURS]-(b) } AS shared_hubs
ORDER BY lift_d, expected DESC, a, b
LIMIT $limit

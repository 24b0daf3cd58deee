// title: Significant, and tiny
// question: Which edges are significant and yet say little: a correlation within documents next to nothing?
// group: quality
// writes: no
// cost: over 1 s -- every edge's node is read: few relationships have the measure
// key: kind, a, b
// parameter: atlas string = only -- name of the atlas
// parameter: kind string? in CO_OCCURS, CO_TOPIC, EXCLUDES = null -- kind of the edges; null reads all
// parameter: max_phi_d float = 0.05 -- largest absolute correlation within documents
// parameter: limit integer = 50 -- most rows
// column: kind string -- kind of the edge
// column: a integer -- index of the feature with the lower index
// column: a_name string -- its caption
// column: b integer -- index of the feature with the higher index
// column: b_name string -- its caption
// column: phi_d float -- correlation of the two firings within documents
// column: phi float -- the same over all tokens
// column: lift_d float -- joint firings over what their documents explain
// column: joint_count integer -- tokens on which both fire
// column: q float -- adjusted p of the kind's test

MATCH (e:Edge {atlas: $atlas})
WHERE e.phi >= -1 AND abs(e.phi_d) <= $max_phi_d AND ($kind IS NULL OR e.kind = $kind)
WITH e
ORDER BY abs(e.phi_d), e.kind, e.a, e.b
LIMIT $limit
MATCH (f:Feature {uid: $atlas + ':' + toString(e.a)})
MATCH (g:Feature {uid: $atlas + ':' + toString(e.b)})
RETURN e.kind AS kind, e.a AS a, f.name AS a_name, e.b AS b, g.name AS b_name, e.phi_d AS phi_d, e.phi AS phi,
       e.lift_d AS lift_d, e.joint_count AS joint_count, e.q AS q
ORDER BY abs(phi_d), kind, a, b
LIMIT $limit

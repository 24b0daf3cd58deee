// title: Edges that a third feature explains
// question: Which features fire together only because both fire with a third?
// group: explore
// writes: no
// cost: under 1 s -- an index on phi; every edge is looked at where few are found
// key: a, b
// parameter: atlas string = only -- name of the atlas
// parameter: via integer? = null -- index of the feature that explains; null reads all
// parameter: limit integer = 50 -- most rows
// column: a integer -- index of the feature with the lower index
// column: a_name string -- its caption
// column: b integer -- index of the feature with the higher index
// column: b_name string -- its caption
// column: explained_by integer -- index of the feature given which the two are as good as independent
// column: explained_by_name string -- its caption
// column: phi float -- correlation of the two firings
// column: lift_d float -- joint firings over what their documents explain
// column: basis string -- what the tokens alone explain

MATCH (e:Edge {atlas: $atlas})
WHERE e.phi >= -1 AND e.explained_by IS NOT NULL AND ($via IS NULL OR e.explained_by = $via)
// The index is on both: named first, the atlas lets it give the order.
WITH e
ORDER BY e.atlas DESC, e.phi DESC, e.a, e.b
LIMIT $limit
MATCH (f:Feature {uid: $atlas + ':' + toString(e.a)})
MATCH (g:Feature {uid: $atlas + ':' + toString(e.b)})
MATCH (third:Feature {uid: $atlas + ':' + toString(e.explained_by)})
RETURN e.a AS a, f.name AS a_name, e.b AS b, g.name AS b_name, e.explained_by AS explained_by,
       third.name AS explained_by_name, e.phi AS phi, e.lift_d AS lift_d, e.basis AS basis
ORDER BY phi DESC, a, b
LIMIT $limit

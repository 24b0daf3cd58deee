// title: Strongest edges
// question: Which features of the whole atlas fire together most surely, and what do their tokens explain?
// group: explore
// writes: no
// cost: under 1 s -- an index on phi; every edge is looked at where few are found
// key: a, b
// parameter: atlas string = only -- name of the atlas
// parameter: basis string? in lexical, contextual, mixed, untested = null -- what the tokens alone explain; null reads all
// parameter: direct boolean = false -- whether edges that a third feature explains are left out
// parameter: limit integer = 50 -- most rows
// column: a integer -- index of the feature with the lower index
// column: a_name string -- its caption
// column: b integer -- index of the feature with the higher index
// column: b_name string -- its caption
// column: phi float -- correlation of the two firings
// column: lift_d float -- joint firings over what their documents explain
// column: lift_t float? -- joint firings over what their tokens explain
// column: joint_count integer -- tokens on which both fire
// column: basis string -- what the tokens alone explain
// column: decoder_cosine float -- cosine of the two decoder directions

MATCH (e:Edge {atlas: $atlas})
WHERE e.phi >= -1 AND e.kind = 'CO_OCCURS' AND ($basis IS NULL OR e.basis = $basis) AND NOT ($direct AND e.explained_by IS NOT NULL)
// The index is on both: named first, the atlas lets it give the order.
WITH e
ORDER BY e.atlas DESC, e.phi DESC, e.a, e.b
LIMIT $limit
MATCH (f:Feature {uid: $atlas + ':' + toString(e.a)})
MATCH (g:Feature {uid: $atlas + ':' + toString(e.b)})
RETURN e.a AS a, f.name AS a_name, e.b AS b, g.name AS b_name, e.phi AS phi, e.lift_d AS lift_d, e.lift_t AS lift_t,
       e.joint_count AS joint_count, e.basis AS basis, e.decoder_cosine AS decoder_cosine
ORDER BY phi DESC, a, b
LIMIT $limit

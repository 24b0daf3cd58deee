// title: Together, yet unlike in direction
// question: Which features fire together although their decoder directions have little in common?
// group: geometry
// writes: no
// cost: under 1 s -- an index on phi; every edge is looked at where few are found
// key: a, b
// parameter: atlas string = only -- name of the atlas
// parameter: max_cosine float = 0.1 -- largest absolute cosine of the two decoder directions
// parameter: basis string? in lexical, contextual, mixed, untested = null -- what the tokens alone explain; null reads all
// parameter: limit integer = 50 -- most rows
// column: a integer -- index of the feature with the lower index
// column: a_name string -- its caption
// column: b integer -- index of the feature with the higher index
// column: b_name string -- its caption
// column: phi float -- correlation of the two firings
// column: decoder_cosine float -- cosine of the two decoder directions
// column: lift_d float -- joint firings over what their documents explain
// column: basis string -- what the tokens alone explain

MATCH (e:Edge {atlas: $atlas})
WHERE e.phi >= -1 AND e.kind = 'CO_OCCURS' AND abs(e.decoder_cosine) <= $max_cosine AND ($basis IS NULL OR e.basis = $basis)
// The index is on both: named first, the atlas lets it give the order.
WITH e
ORDER BY e.atlas DESC, e.phi DESC, e.a, e.b
LIMIT $limit
MATCH (f:Feature {uid: $atlas + ':' + toString(e.a)})
MATCH (g:Feature {uid: $atlas + ':' + toString(e.b)})
RETURN e.a AS a, f.name AS a_name, e.b AS b, g.name AS b_name, e.phi AS phi, e.decoder_cosine AS decoder_cosine,
       e.lift_d AS lift_d, e.basis AS basis
ORDER BY phi DESC, a, b
LIMIT $limit

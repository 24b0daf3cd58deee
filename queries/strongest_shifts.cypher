// title: Features that others raise or lower most
// question: Whose activation is shifted most where a neighbour fires, too, and by which?
// group: explore
// writes: no
// cost: over 1 s -- every edge is looked at
// key: feature, by
// parameter: atlas string = only -- name of the atlas
// parameter: direction string? in up, down = null -- only larger activations (`up`) or smaller ones; null reads both
// parameter: basis string? in lexical, contextual, mixed, untested = null -- what the tokens alone explain; null
//     reads all
// parameter: limit integer = 50 -- most rows
// column: feature integer -- index of the feature that is shifted
// column: name string -- its caption
// column: by integer -- index of the neighbour that fires, too
// column: by_name string -- its caption
// column: shift float -- mean activation where it does, less that elsewhere, within vocabulary items, in standard
//     deviations
// column: phi float -- phi of the edge
// column: basis string -- what the tokens alone explain

MATCH (e:Edge {atlas: $atlas})
WHERE (e.shift_a IS NOT NULL OR e.shift_b IS NOT NULL) AND ($basis IS NULL OR e.basis = $basis)
UNWIND [{feature: e.a, by: e.b, shift: e.shift_a}, {feature: e.b, by: e.a, shift: e.shift_b}] AS one
WITH e, one.feature AS feature, one.by AS by, one.shift AS shift
WHERE shift IS NOT NULL AND
      CASE $direction WHEN 'up' THEN shift > 0 WHEN 'down' THEN shift < 0 ELSE true END
WITH e, feature, by, shift
ORDER BY abs(shift) DESC, feature, by
LIMIT $limit
MATCH (f:Feature {uid: $atlas + ':' + toString(feature)})
MATCH (g:Feature {uid: $atlas + ':' + toString(by)})
RETURN feature AS feature, f.name AS name, by AS by, g.name AS by_name, shift AS shift, e.phi AS phi, e.basis AS basis
ORDER BY abs(shift) DESC, feature, by
LIMIT $limit

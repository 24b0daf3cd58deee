// title: What two features share
// question: Which features fire with both of these two, and do the two fire together themselves?
// group: explore
// writes: no
// cost: under 0.1 s -- the edges of two features
// key: neighbour
// parameter: atlas string = only -- name of the atlas
// parameter: feature integer -- index of one feature
// parameter: other integer -- index of the other
// parameter: limit integer = 50 -- most rows
// column: neighbour integer -- index of the feature that fires with both
// column: name string -- its caption
// column: phi_feature float -- its phi with the one
// column: phi_other float -- its phi with the other
// column: phi_between float? -- phi of the two themselves; empty where they have no edge

MATCH (f:Feature {uid: $atlas + ':' + toString($feature)})-[r:CO_OCCURS]-(shared:Feature)
MATCH (shared)-[s:CO_OCCURS]-(g:Feature {uid: $atlas + ':' + toString($other)})
OPTIONAL MATCH (f)-[between:CO_OCCURS]-(g)
WITH shared, r, s, between, CASE WHEN r.phi < s.phi THEN r.phi ELSE s.phi END AS weaker
RETURN shared.index AS neighbour, shared.name AS name, r.phi AS phi_feature, s.phi AS phi_other,
       between.phi AS phi_between
ORDER BY weaker DESC, neighbour
LIMIT $limit

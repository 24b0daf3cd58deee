// title: Exclusive leaves of a hub
// question: Which of the features that fire with this one exclude each other?
// group: exclusion
// writes: no
// cost: under 1 s -- the edges of the hub, and the exclusions of its leaves
// key: a, b
// parameter: atlas string = only -- name of the atlas
// parameter: feature integer -- index of the hub
// parameter: limit integer = 50 -- most rows
// column: a integer -- index of the leaf with the lower index
// column: a_name string -- its caption
// column: b integer -- index of the leaf with the higher index
// column: b_name string -- its caption
// column: lift_d float -- their joint firings over what their documents explain
// column: expected float -- joint firings expected if independent within documents
// column: basis string -- what the tokens alone explain of the exclusion
// column: phi_a float -- phi of the hub and a
// column: phi_b float -- phi of the hub and b

MATCH (h:Feature {uid: $atlas + ':' + toString($feature)})-[r:CO_OCCURS]-(a:Feature)
WHERE a.firing_count < h.firing_count OR (a.firing_count = h.firing_count AND a.index > h.index)
MATCH (a)-[x:EXCLUDES]->(b:Feature)
WHERE b.firing_count < h.firing_count OR (b.firing_count = h.firing_count AND b.index > h.index)
MATCH (h)-[s:CO_OCCURS]-(b)
RETURN a.index AS a, a.name AS a_name, b.index AS b, b.name AS b_name, x.lift_d AS lift_d, x.expected AS expected,
       x.basis AS basis, r.phi AS phi_a, s.phi AS phi_b
ORDER BY lift_d, expected DESC, a, b
LIMIT $limit

// title: Triangles through a feature
// question: With which two others does this feature fire, and they with each other?
// group: explore
// writes: no
// cost: under 1 s -- the edges of the feature and of all its neighbours
// key: b, c
// parameter: atlas string = only -- name of the atlas
// parameter: feature integer -- index of the feature
// parameter: min_phi float = -1.0 -- smallest phi of each of the three edges
// parameter: limit integer = 50 -- most rows
// column: b integer -- index of the second feature
// column: b_name string -- its caption
// column: c integer -- index of the third, higher than b
// column: c_name string -- its caption
// column: weakest float -- smallest phi of the three edges
// column: opposite float -- phi of the second and the third
// column: basis list<string> -- what the tokens alone explain of the edges to b, to c, and between these

MATCH (f:Feature {uid: $atlas + ':' + toString($feature)})-[r:CO_OCCURS]-(g:Feature)
WHERE r.phi >= $min_phi
MATCH (g)-[t:CO_OCCURS]->(h:Feature)
WHERE t.phi >= $min_phi
MATCH (f)-[s:CO_OCCURS]-(h)
WHERE s.phi >= $min_phi
WITH g, h, r, s, t, reduce(least = r.phi, phi IN [s.phi, t.phi] | CASE WHEN phi < least THEN phi ELSE least END) AS weakest
RETURN g.index AS b, g.name AS b_name, h.index AS c, h.name AS c_name, weakest, t.phi AS opposite,
       [r.basis, s.basis, t.basis] AS basis
ORDER BY weakest DESC, b, c
LIMIT $limit

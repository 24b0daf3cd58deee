// title: The neighbourhood of a feature
// question: What does the surrounding of this feature look like: what fires with it, and what of that fires together?
// group: explore
// writes: no
// graph: yes
// cost: under 1 s -- the edges of the feature and of its strongest neighbours
// key: a, b
// parameter: atlas string = only -- name of the atlas
// parameter: feature integer -- index of the feature
// parameter: neighbours integer = 12 -- strongest neighbours that are drawn, by phi; 299 at most
// parameter: basis string? in lexical, contextual, mixed, untested = null -- what the tokens alone explain; null reads all
// parameter: limit integer = 1000 -- most edges
// column: part string -- `spoke` (the feature and a neighbour) or `rim` (two neighbours)
// column: a integer -- index of the edge's lower end
// column: b integer -- index of the edge's higher end
// column: phi float -- correlation of the two firings
// column: path path -- the edge

MATCH (f:Feature {uid: $atlas + ':' + toString($feature)})-[r:CO_OCCURS]-(g:Feature)
WHERE $basis IS NULL OR r.basis = $basis
WITH f, g
ORDER BY r.phi DESC, g.index
LIMIT 299
WITH f, collect(g)[..$neighbours] AS around
CALL (f, around) {
  UNWIND around AS g
  MATCH path = (f)-[r:CO_OCCURS]-(g)
  RETURN 'spoke' AS part, r, path
  UNION ALL
  UNWIND around AS g
  MATCH path = (g)-[r:CO_OCCURS]->(h:Feature)
  WHERE h IN around AND ($basis IS NULL OR r.basis = $basis)
  RETURN 'rim' AS part, r, path
}
RETURN part, startNode(r).index AS a, endNode(r).index AS b, r.phi AS phi, path
ORDER BY part DESC, phi DESC, a, b
LIMIT $limit

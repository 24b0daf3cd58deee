// title: A star
// question: What does the star of a community or of a feature look like, with the edges among its leaves?
// group: shape
// writes: no
// graph: yes
// cost: under 1 s -- the hub's edges and those of its leaves; of more than 299 leaves the strongest ones
// key: a, b
// parameter: atlas string = only -- name of the atlas
// parameter: of string -- a community as `level:number` (such as `fine:3`), or the index of a feature
// parameter: limit integer = 1000 -- most edges
// column: part string -- `spoke` (hub and leaf) or `rim` (two leaves)
// column: a integer -- index of the edge's lower end
// column: b integer -- index of the edge's higher end
// column: phi float -- correlation of the two firings
// column: path path -- the edge

CALL () {
  MATCH (c:Cluster {uid: $atlas + ':' + $of})
  MATCH (h:Feature {uid: $atlas + ':' + toString(c.hub)})
  MATCH (h)-[r:CO_OCCURS]-(leaf:Feature)
  WHERE EXISTS { (leaf)-[:IN_CLUSTER]->(c) }
  RETURN h, leaf, r.phi AS phi
  UNION ALL
  MATCH (h:Feature {uid: $atlas + ':' + $of})
  MATCH (h)-[r:CO_OCCURS]-(leaf:Feature)
  WHERE leaf.firing_count < h.firing_count
     OR (leaf.firing_count = h.firing_count AND leaf.index > h.index)
  RETURN h, leaf, r.phi AS phi
}
WITH h, leaf
ORDER BY phi DESC, leaf.index
LIMIT 299
WITH h, collect(leaf) AS leaves
CALL (h, leaves) {
  UNWIND leaves AS leaf
  MATCH path = (h)-[r:CO_OCCURS]-(leaf)
  RETURN 'spoke' AS part, r, path
  UNION ALL
  UNWIND leaves AS leaf
  MATCH path = (leaf)-[r:CO_OCCURS]->(other:Feature)
  WHERE other IN leaves
  RETURN 'rim' AS part, r, path
}
RETURN part, startNode(r).index AS a, endNode(r).index AS b, r.phi AS phi, path
ORDER BY part DESC, phi DESC, a, b
LIMIT $limit

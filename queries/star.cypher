// title: A star for Neo4j Browser
// question: What does the star of a community or of a feature look like, with the edges among its leaves?
// group: browser
// writes: no
// key: a, b
// parameter: atlas string = only -- name of the atlas
// parameter: of string -- a community as `level:number` (such as `fine:3`), or the index of a feature
// parameter: limit integer = 300 -- most edges
// column: part string -- `spoke` (hub and leaf) or `rim` (two leaves)
// column: a integer -- index of the edge's lower end
// column: b integer -- index of the edge's higher end
// column: phi float -- correlation of the two firings
// column: path path -- the edge

CALL () {
  MATCH (c:Cluster {uid: $atlas + ':' + $of})
  MATCH (h:Feature {uid: $atlas + ':' + toString(c.hub)})
  MATCH (h)-[:CO_OCCURS]-(leaf:Feature)
  WHERE EXISTS { (leaf)-[:IN_CLUSTER]->(c) }
  RETURN h, collect(leaf) AS leaves
  UNION ALL
  MATCH (h:Feature {uid: $atlas + ':' + $of})
  MATCH (h)-[:CO_OCCURS]-(leaf:Feature)
  WHERE leaf.firing_count < h.firing_count
     OR (leaf.firing_count = h.firing_count AND leaf.index > h.index)
  RETURN h, collect(leaf) AS leaves
}
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

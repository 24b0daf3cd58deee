// title: Communities by the graph that describes them
// question: Which communities are a chain, a ring, a star, or two parts?
// group: shape
// writes: no
// cost: under 0.1 s -- the communities of the level
// key: level, cluster
// parameter: atlas string = only -- name of the atlas
// parameter: template string in star, chain, ring, bipartite, core-periphery = "chain" -- the ideal graph
// parameter: level string? in coarse, middle, fine = null -- level of the communities; null reads all
// parameter: limit integer = 50 -- most rows
// column: level string -- level of the community
// column: cluster integer -- its number on that level
// column: name string -- its caption
// column: size integer -- members
// column: n_edges integer -- edges between members
// column: shape string -- its class
// column: margin_bits float -- bits by which the ideal beats the next one and a random graph
// column: chance float? -- share of all connected graphs of the size, up to 7, that have the class
// column: members list<string> -- captions of the members, in the order of their indices, twelve at most

MATCH (c:Cluster {atlas: $atlas})
WHERE c.template = $template AND ($level IS NULL OR c.level = $level)
WITH c
ORDER BY c.margin_bits DESC, c.level, c.cluster
LIMIT $limit
CALL (c) {
  MATCH (f:Feature)-[:IN_CLUSTER]->(c)
  WITH f ORDER BY f.index LIMIT 12
  RETURN collect(f.name) AS members
}
RETURN c.level AS level, c.cluster AS cluster, c.name AS name, c.size AS size, c.n_edges AS n_edges, c.shape AS shape,
       c.margin_bits AS margin_bits, c.chance AS chance, members
ORDER BY margin_bits DESC, level, cluster
LIMIT $limit

// title: Fully connected communities
// question: In which communities does nearly every feature fire together with every other?
// group: shape
// writes: no
// cost: under 0.1 s -- the communities of the class
// key: level, cluster
// parameter: atlas string = only -- name of the atlas
// parameter: level string? in coarse, middle, fine = null -- level of the communities; null reads all
// parameter: min_size integer = 4 -- fewest members
// parameter: limit integer = 50 -- most rows
// column: level string -- level of the community
// column: cluster integer -- its number on that level
// column: size integer -- members
// column: density float -- edges over all pairs of members
// column: triangles integer -- closed triads of members
// column: strength float -- mean phi of the edges between members
// column: members list<string> -- captions of the members, in the order of their indices

MATCH (c:Cluster:FullyConnected {atlas: $atlas})
WHERE ($level IS NULL OR c.level = $level) AND c.size >= $min_size
CALL (c) {
  MATCH (f:Feature)-[:IN_CLUSTER]->(c)
  WITH f ORDER BY f.index
  RETURN collect(f.name) AS members
}
RETURN c.level AS level, c.cluster AS cluster, c.size AS size, c.density AS density,
       c.triangles AS triangles, c.strength AS strength, members
ORDER BY size DESC, level, cluster
LIMIT $limit

// title: Hub-spoke communities
// question: Which communities are stars whose leaves exclude each other under the hub?
// group: shape
// writes: no
// cost: under 0.1 s -- the communities of the class
// key: level, cluster
// parameter: atlas string = only -- name of the atlas
// parameter: level string? in coarse, middle, fine = null -- level of the communities; null reads all
// parameter: min_size integer = 4 -- fewest members
// parameter: star_like boolean = false -- whether stars by topology alone are listed too
// parameter: limit integer = 50 -- most rows
// column: level string -- level of the community
// column: cluster integer -- its number on that level
// column: shape string -- its class
// column: size integer -- members
// column: hub integer -- index of the hub
// column: hub_name string -- caption of the hub
// column: leaves list<string> -- captions of the leaves, the strongest tie to the hub first
// column: density float -- edges over all pairs of members
// column: centralization float -- Freeman's degree centralization
// column: depleted_pairs integer -- pairs of leaves that are exclusive given the hub
// column: testable_pairs integer -- pairs of leaves that could be tested

MATCH (c:Cluster {atlas: $atlas})
WHERE (c:HubSpoke OR ($star_like AND c:StarLike))
  AND ($level IS NULL OR c.level = $level)
  AND c.size >= $min_size
MATCH (h:Feature {uid: $atlas + ':' + toString(c.hub)})
CALL (c, h) {
  MATCH (f:Feature)-[:IN_CLUSTER]->(c)
  WHERE f <> h
  OPTIONAL MATCH (h)-[r:CO_OCCURS]-(f)
  WITH f, coalesce(r.phi, -1.0) AS phi
  ORDER BY phi DESC, f.index
  RETURN collect(f.name) AS leaves
}
RETURN c.level AS level, c.cluster AS cluster, c.shape AS shape, c.size AS size, c.hub AS hub,
       h.name AS hub_name, leaves, c.density AS density, c.centralization AS centralization,
       c.depleted_pairs AS depleted_pairs, c.testable_pairs AS testable_pairs
ORDER BY size DESC, level, cluster
LIMIT $limit

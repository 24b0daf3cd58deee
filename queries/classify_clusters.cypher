// title: Classify communities
// question: Which shape has each community, and which of its members is the hub?
// group: classify
// writes: yes
// key: level, shape
// parameter: atlas string = only -- name of the atlas
// parameter: min_density float = 0.8 -- density from which a community is fully connected
// parameter: min_centralization float = 0.6 -- Freeman's centralization from which it is a star
// parameter: min_testable integer = 3 -- testable pairs of leaves that a hub-spoke class needs
// parameter: min_cover float = 0.5 -- share of the leaves that these pairs must cover
// parameter: min_depleted float = 0.5 -- share of the testable pairs that must be exclusive given the hub
// column: level string -- level of the communities
// column: shape string -- the class
// column: count integer -- communities of that class

// What an earlier run made of the features goes first: a hub then may be none now.
MATCH (f:Hub)
WHERE f.atlas = $atlas
CALL (f) {
  REMOVE f:Hub
} IN TRANSACTIONS OF 5000 ROWS
WITH count(*) AS former
MATCH (c:Cluster {atlas: $atlas})
// Some communities a transaction: a large atlas needs no more memory than a small one.
CALL (c) {
  CALL (c) {
    MATCH (f:Feature)-[:IN_CLUSTER]->(c)
    RETURN count(f) AS n, min(f.index) AS first
  }
  CALL (c) {
    // Degrees inside the community. Sums of phi are rounded: their last digit depends on the order of adding.
    MATCH (c)<-[:IN_CLUSTER]-(x:Feature)-[r:CO_OCCURS]->(y:Feature)-[:IN_CLUSTER]->(c)
    UNWIND [x.index, y.index] AS index
    WITH index, count(*) AS degree, round(sum(r.phi), 12) AS strength
    ORDER BY degree DESC, strength DESC, index
    RETURN sum(degree) / 2 AS m, coalesce(max(degree), 0) AS top, collect(index)[0] AS strongest
  }
  CALL (c) {
    // Edges are stored once, from the lower to the higher index: each triad is found once.
    MATCH (c)<-[:IN_CLUSTER]-(x:Feature)-[:CO_OCCURS]->(y:Feature)-[:IN_CLUSTER]->(c)
    WITH x, collect(y) AS higher
    UNWIND higher AS y
    MATCH (y)-[:CO_OCCURS]->(z:Feature)
    WHERE z IN higher
    RETURN count(*) AS triangles
  }
  WITH c, n, m, coalesce(strongest, first) AS hub, triangles,
       CASE WHEN n < 2 THEN 0.0 ELSE 2.0 * m / (n * (n - 1)) END AS density,
       CASE WHEN n < 3 THEN 0.0 ELSE toFloat(n * top - 2 * m) / ((n - 1) * (n - 2)) END AS centralization
  WITH c, hub, n, m, triangles, density, centralization,
       CASE
         WHEN n < 2 THEN 'undetermined'
         WHEN n = 2 THEN 'pair'
         WHEN n = 3 AND m = 3 THEN 'triangle'
         WHEN n = 3 THEN 'undetermined'
         WHEN density >= $min_density THEN 'fully connected'
         WHEN centralization < $min_centralization THEN 'undetermined'
         WHEN c.testable_pairs >= $min_testable
          AND c.covered_leaves >= $min_cover * (n - 1)
          AND c.depleted_pairs >= $min_depleted * c.testable_pairs
          AND c.depleted_pairs > c.enriched_pairs THEN 'hub-spoke'
         ELSE 'star-like'
       END AS shape
  SET c.n_edges = m, c.density = density, c.centralization = centralization, c.triangles = triangles,
      c.hub = hub, c.shape = shape
  REMOVE c:Pair:Triangle:FullyConnected:HubSpoke:StarLike:Undetermined
  FOREACH (_ IN CASE WHEN shape = 'pair' THEN [1] ELSE [] END | SET c:Pair)
  FOREACH (_ IN CASE WHEN shape = 'triangle' THEN [1] ELSE [] END | SET c:Triangle)
  FOREACH (_ IN CASE WHEN shape = 'fully connected' THEN [1] ELSE [] END | SET c:FullyConnected)
  FOREACH (_ IN CASE WHEN shape = 'hub-spoke' THEN [1] ELSE [] END | SET c:HubSpoke)
  FOREACH (_ IN CASE WHEN shape = 'star-like' THEN [1] ELSE [] END | SET c:StarLike)
  FOREACH (_ IN CASE WHEN shape = 'undetermined' THEN [1] ELSE [] END | SET c:Undetermined)
  WITH c, hub, shape
  CALL (c, hub, shape) {
    MATCH (f:Feature)-[r:IN_CLUSTER]->(c)
    WITH f, r, CASE WHEN NOT shape IN ['hub-spoke', 'star-like'] THEN 'member'
                    WHEN f.index = hub THEN 'hub'
                    ELSE 'leaf' END AS role
    SET r.role = role
    FOREACH (_ IN CASE WHEN role = 'hub' THEN [1] ELSE [] END | SET f:Hub)
  }
  RETURN shape
} IN TRANSACTIONS OF 200 ROWS
RETURN c.level AS level, shape, count(*) AS count
ORDER BY level, shape
LIMIT 100

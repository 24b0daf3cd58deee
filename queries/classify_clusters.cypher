// title: Classify communities
// question: Which shape has each community, and which of its members is the hub? Run again with other thresholds, it
//    replaces every class, label and role, and `:Atlas` keeps the thresholds.
// group: classify
// writes: yes
// key: level, shape, ideal
// parameter: atlas string = only -- name of the atlas
// parameter: min_density float = 0.8 -- density from which a community is fully connected
// parameter: min_centralization float = 0.6 -- Freeman's centralization from which it is a star
// parameter: min_testable integer = 3 -- testable pairs of leaves that a hub-spoke class needs
// parameter: min_cover float = 0.5 -- share of the leaves that these pairs must cover
// parameter: min_depleted float = 0.5 -- share of the testable pairs that must be exclusive given the hub
// parameter: min_margin float = 2.0 -- bits by which a template must be the shortest description; no template that is
//    stored has fewer than 2
// column: level string -- level of the communities
// column: shape string -- the class
// column: ideal string? -- the ideal graph of undetermined ones: `chain`, `ring`, `bipartite`, `core-periphery`
// column: count integer -- communities of that class

// Until the end the atlas says no thresholds: what is interrupted leaves communities of both.
MATCH (a:Atlas {uid: $atlas})
CALL (a) {
  REMOVE a.min_density, a.min_centralization, a.min_testable, a.min_cover, a.min_depleted, a.min_margin
} IN TRANSACTIONS OF 1 ROW
WITH count(*) AS atlases
// What an earlier run made of the features goes first: a hub then may be none now.
OPTIONAL MATCH (f:Hub {atlas: $atlas})
CALL (f) {
  REMOVE f:Hub
} IN TRANSACTIONS OF 5000 ROWS
WITH count(*) AS former
MATCH (c:Cluster {atlas: $atlas})
// Some communities a transaction: a large atlas needs no more memory than a small one.
CALL (c) {
  CALL (c) {
    MATCH (f:Feature)-[:IN_CLUSTER]->(c)
    WITH f ORDER BY f.index
    RETURN collect(f) AS members
  }
  CALL (members) {
    // Edges are stored once, from the lower to the higher index.
    UNWIND members AS x
    MATCH (x)-[r:CO_OCCURS]->(y:Feature)
    WHERE y IN members
    RETURN collect(r) AS edges
  }
  CALL (edges) {
    // Degrees inside the community. Sums of phi are rounded: their last digit depends on the order of adding.
    UNWIND edges AS r
    UNWIND [startNode(r), endNode(r)] AS f
    WITH f, count(*) AS degree, round(sum(r.phi), 12) AS strength
    ORDER BY degree DESC, strength DESC, f.index
    RETURN coalesce(max(degree), 0) AS top, collect(f)[0] AS strongest
  }
  CALL (edges) {
    // From the member with the lowest index each triad is found once.
    UNWIND edges AS r
    WITH startNode(r) AS x, collect(endNode(r)) AS higher
    WHERE size(higher) > 1
    UNWIND higher AS y
    MATCH (y)-[:CO_OCCURS]->(z:Feature)
    WHERE z IN higher
    RETURN count(*) AS triangles
  }
  WITH c, members, size(members) AS n, size(edges) AS m, top, coalesce(strongest, members[0]) AS hub, triangles
  CALL (members, n, m, top, hub) {
    // Two edges a node at most, and all nodes on one way from any of them: a chain, or closed and a ring.
    WITH members, hub
    WHERE n >= 4 AND top = 2 AND m IN [n - 1, n]
    MATCH (hub) ((:Feature)-[:CO_OCCURS]-(y:Feature) WHERE y IN members)* (z)
    RETURN count(DISTINCT z) AS reached
  }
  WITH c, hub, n, m, triangles, reached,
       CASE WHEN n < 2 THEN 0.0 ELSE 2.0 * m / (n * (n - 1)) END AS density,
       CASE WHEN n < 3 THEN 0.0 ELSE toFloat(n * top - 2 * m) / ((n - 1) * (n - 2)) END AS centralization
  WITH c, hub, n, m, triangles, reached, density, centralization,
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
  WITH c, hub, m, triangles, density, centralization, shape,
       CASE
         WHEN shape <> 'undetermined' THEN null
         WHEN reached = n AND m = n THEN 'ring'
         WHEN reached = n THEN 'chain'
         // A margin is a sum of logarithms: one this little below is one of as many bits.
         WHEN c.margin_bits >= $min_margin - 1e-9
          AND c.template IN ['chain', 'ring', 'bipartite', 'core-periphery'] THEN c.template
       END AS ideal
  SET c.n_edges = m, c.density = density, c.centralization = centralization, c.triangles = triangles,
      c.hub = hub.index, c.shape = shape, c.ideal = ideal
  REMOVE c:Pair:Triangle:FullyConnected:HubSpoke:StarLike:Undetermined
  FOREACH (_ IN CASE WHEN shape = 'pair' THEN [1] ELSE [] END | SET c:Pair)
  FOREACH (_ IN CASE WHEN shape = 'triangle' THEN [1] ELSE [] END | SET c:Triangle)
  FOREACH (_ IN CASE WHEN shape = 'fully connected' THEN [1] ELSE [] END | SET c:FullyConnected)
  FOREACH (_ IN CASE WHEN shape = 'hub-spoke' THEN [1] ELSE [] END | SET c:HubSpoke)
  FOREACH (_ IN CASE WHEN shape = 'star-like' THEN [1] ELSE [] END | SET c:StarLike)
  FOREACH (_ IN CASE WHEN shape = 'undetermined' THEN [1] ELSE [] END | SET c:Undetermined)
  REMOVE c:Chain:Ring:Bipartite:CorePeriphery
  FOREACH (_ IN CASE WHEN ideal = 'chain' THEN [1] ELSE [] END | SET c:Chain)
  FOREACH (_ IN CASE WHEN ideal = 'ring' THEN [1] ELSE [] END | SET c:Ring)
  FOREACH (_ IN CASE WHEN ideal = 'bipartite' THEN [1] ELSE [] END | SET c:Bipartite)
  FOREACH (_ IN CASE WHEN ideal = 'core-periphery' THEN [1] ELSE [] END | SET c:CorePeriphery)
  WITH c, hub, shape, ideal
  CALL (c, hub, shape) {
    MATCH (f:Feature)-[r:IN_CLUSTER]->(c)
    WITH f, r, CASE WHEN NOT shape IN ['hub-spoke', 'star-like'] THEN 'member'
                    WHEN f = hub THEN 'hub'
                    ELSE 'leaf' END AS role
    SET r.role = role
    FOREACH (_ IN CASE WHEN role = 'hub' THEN [1] ELSE [] END | SET f:Hub)
  }
  RETURN shape, ideal
} IN TRANSACTIONS OF 200 ROWS
WITH c.level AS level, shape, ideal, count(*) AS count
WITH collect({level: level, shape: shape, ideal: ideal, count: count}) AS classes
MATCH (a:Atlas {uid: $atlas})
SET a.min_density = $min_density, a.min_centralization = $min_centralization, a.min_testable = $min_testable,
    a.min_cover = $min_cover, a.min_depleted = $min_depleted, a.min_margin = $min_margin
WITH classes
UNWIND classes AS class
RETURN class.level AS level, class.shape AS shape, class.ideal AS ideal, class.count AS count
ORDER BY level, shape, ideal
LIMIT 100

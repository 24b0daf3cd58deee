// title: Communities that are there again in another atlas
// question: Which community of another atlas holds the features that match those of a community here?
// group: compare
// writes: no
// cost: under 1 s -- every match and membership of the level is looked at
// key: cluster
// parameter: atlas string = only -- name of the atlas that `atlas compare` was given first
// parameter: other_atlas string -- name of the other
// parameter: level string in coarse, middle, fine = "fine" -- level of the communities
// parameter: min_matched integer = 3 -- fewest matched members
// parameter: limit integer = 50 -- most rows
// column: cluster integer -- number of the community
// column: name string -- its caption
// column: size integer -- its members
// column: matched integer -- members that are matched, and in a community there
// column: other_cluster integer -- number of the other atlas's community that holds most of their matches
// column: other_name string -- its caption
// column: shared integer -- matches that it holds
// column: shape string? -- class of the one
// column: other_shape string? -- class of the other

// A feature that is matched in two ways with two features counts with the match by both or by firings alone.
MATCH (c:Cluster {atlas: $atlas, level: $level})<-[:IN_CLUSTER]-(f:Feature)-[m:MATCHES]->
      (g:Feature {atlas: $other_atlas})-[:IN_CLUSTER]->(d:Cluster {level: $level})
WHERE m.by <> 'decoder' OR NOT EXISTS { (f)-[n:MATCHES]->(:Feature {atlas: $other_atlas}) WHERE n.by <> 'decoder' }
WITH c, d, count(DISTINCT f) AS shared
ORDER BY shared DESC, d.cluster
WITH c, sum(shared) AS matched, collect({cluster: d, shared: shared})[0] AS best
WHERE matched >= $min_matched
WITH c, matched, best.cluster AS d, best.shared AS shared
RETURN c.cluster AS cluster, c.name AS name, c.size AS size, matched, d.cluster AS other_cluster, d.name AS other_name,
       shared, c.shape AS shape, d.shape AS other_shape
ORDER BY shared DESC, toFloat(shared) / matched DESC, cluster
LIMIT $limit

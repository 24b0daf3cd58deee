// title: Clusters of others beside communities
// question: Which communities and classes have the features that Clarke, Bhatnagar and Bloom (2024) put in one cluster?
// group: compare
// writes: no
// cost: under 1 s -- every member of their clusters is looked at
// key: peer_cluster
// parameter: atlas string = only -- name of the atlas
// parameter: level string in coarse, middle, fine = "fine" -- level of the communities
// parameter: highest_score string? in peer_hub_spoke, peer_strongly_connected, peer_linear = null -- which of their
//    scores is highest; null reads all
// parameter: min_size integer = 4 -- fewest members
// parameter: limit integer = 50 -- most rows
// column: peer_cluster integer -- number of their cluster, largest first
// column: name string -- caption: its hub's
// column: size integer -- members
// column: highest_score string? -- which of their three scores is highest; empty below four members
// column: peer_hub_spoke float -- their score of a star
// column: peer_strongly_connected float -- their score of a clique
// column: peer_linear float -- their score of a chain
// column: peer_shape string -- class of their cluster's own edges here, by topology alone
// column: communities integer -- communities of the level that its members are in
// column: alone integer -- members that are in none
// column: cluster integer? -- number of the community that holds most of them; empty where none does
// column: cluster_name string? -- its caption
// column: cluster_size integer? -- its members
// column: shape string? -- its class
// column: shared integer -- members that both have

MATCH (p:PeerCluster {atlas: $atlas})
WHERE p.size >= $min_size AND ($highest_score IS NULL OR p.highest_score = $highest_score)
OPTIONAL MATCH (p)<-[:IN_PEER_CLUSTER]-(f:Feature)-[:IN_CLUSTER]->(c:Cluster {level: $level})
WITH p, c, count(f) AS shared
ORDER BY p.peer_cluster, shared DESC, c.cluster
WITH p, collect(c) AS found, collect(shared) AS counts
WITH p, found[0] AS c, size(found) AS communities, counts[0] AS shared,
     reduce(total = 0, count IN counts | total + count) AS inside
RETURN p.peer_cluster AS peer_cluster, p.name AS name, p.size AS size, p.highest_score AS highest_score,
       p.peer_hub_spoke AS peer_hub_spoke, p.peer_strongly_connected AS peer_strongly_connected,
       p.peer_linear AS peer_linear, p.shape AS peer_shape, communities, p.size - inside AS alone,
       c.cluster AS cluster, c.name AS cluster_name, c.size AS cluster_size, c.shape AS shape, shared
ORDER BY peer_cluster
LIMIT $limit

// title: Exclusions inside communities
// question: Which features of one community exclude each other most: one subject, never one token?
// group: exclusion
// writes: no
// cost: under 1 s -- every exclusion is looked at
// key: a, b
// parameter: atlas string = only -- name of the atlas
// parameter: level string in coarse, middle, fine = "fine" -- level of the communities
// parameter: cluster integer? = null -- number of a community; null reads all
// parameter: basis string? in lexical, contextual, mixed, untested = null -- what the tokens alone explain; null reads all
// parameter: limit integer = 50 -- most rows
// column: a integer -- index of the feature with the lower index
// column: a_name string -- its caption
// column: b integer -- index of the feature with the higher index
// column: b_name string -- its caption
// column: cluster integer -- number of their community
// column: cluster_name string -- its caption
// column: joint_count integer -- tokens on which both fire
// column: expected float -- joint firings expected if independent within documents
// column: lift_d float -- joint firings over what their documents explain
// column: q float -- adjusted p of the lower tail
// column: basis string -- what the tokens alone explain

MATCH (c:Cluster {atlas: $atlas, level: $level})<-[:IN_CLUSTER]-(a:Feature)-[r:EXCLUDES]->(b:Feature)
WHERE ($cluster IS NULL OR c.cluster = $cluster) AND ($basis IS NULL OR r.basis = $basis)
  AND EXISTS { (b)-[:IN_CLUSTER]->(c) }
RETURN a.index AS a, a.name AS a_name, b.index AS b, b.name AS b_name, c.cluster AS cluster, c.name AS cluster_name,
       r.joint_count AS joint_count, r.expected AS expected, r.lift_d AS lift_d, r.q AS q, r.basis AS basis
ORDER BY lift_d, expected DESC, a, b
LIMIT $limit

// title: Bridges between communities
// question: Which edges tie two communities of a level together?
// group: edges
// writes: no
// key: a, b
// parameter: atlas string = only -- name of the atlas
// parameter: level string = "fine" -- `coarse`, `middle` or `fine`
// parameter: min_phi float = -1.0 -- smallest phi
// parameter: limit integer = 50 -- most rows
// column: a integer -- index of the feature with the lower index
// column: a_name string -- its caption
// column: a_cluster integer -- number of its community
// column: b integer -- index of the feature with the higher index
// column: b_name string -- its caption
// column: b_cluster integer -- number of its community
// column: phi float -- correlation of the two firings
// column: basis string -- what the tokens alone explain

MATCH (c:Cluster {atlas: $atlas, level: $level})<-[:IN_CLUSTER]-(f:Feature)-[r:CO_OCCURS]->(g:Feature)
WHERE r.phi >= $min_phi
MATCH (g)-[:IN_CLUSTER]->(d:Cluster {level: $level})
WHERE d <> c
RETURN f.index AS a, f.name AS a_name, c.cluster AS a_cluster, g.index AS b, g.name AS b_name,
       d.cluster AS b_cluster, r.phi AS phi, r.basis AS basis
ORDER BY phi DESC, a, b
LIMIT $limit

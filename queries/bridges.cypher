// title: Bridges between communities
// question: Which edges tie two communities of a level together?
// group: communities
// writes: no
// cost: under 1 s -- an index on phi, and the communities of each edge's ends
// key: a, b
// parameter: atlas string = only -- name of the atlas
// parameter: level string in coarse, middle, fine = "fine" -- level of the communities
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

MATCH (e:Edge {atlas: $atlas})
WHERE e.phi >= $min_phi AND e.kind = 'CO_OCCURS'
MATCH (f:Feature {uid: $atlas + ':' + toString(e.a)})-[:IN_CLUSTER]->(c:Cluster {level: $level})
MATCH (g:Feature {uid: $atlas + ':' + toString(e.b)})-[:IN_CLUSTER]->(d:Cluster {level: $level})
WHERE d <> c
// The index is on both: named first, the atlas lets it give the order.
WITH e, f, c, g, d
ORDER BY e.atlas DESC, e.phi DESC, e.a, e.b
LIMIT $limit
RETURN f.index AS a, f.name AS a_name, c.cluster AS a_cluster, g.index AS b, g.name AS b_name,
       d.cluster AS b_cluster, e.phi AS phi, e.basis AS basis
ORDER BY phi DESC, a, b
LIMIT $limit

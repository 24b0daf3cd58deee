// title: Neighbours of a community
// question: To which other communities do this one's edges go, and how strongly?
// group: communities
// writes: no
// cost: under 1 s -- the edges of all members
// key: other
// parameter: atlas string = only -- name of the atlas
// parameter: level string in coarse, middle, fine = "fine" -- level of the communities
// parameter: cluster integer -- number of the community on that level
// parameter: limit integer = 50 -- most rows
// column: other integer -- number of the other community
// column: name string -- its caption
// column: size integer -- its members
// column: n_edges integer -- edges between the two
// column: mean_phi float -- their mean phi
// column: density float -- these edges over all pairs of a member here and one there
// column: inside_same boolean -- whether both lie in one community of the next coarser level

MATCH (c:Cluster {uid: $atlas + ':' + $level + ':' + toString($cluster)})<-[:IN_CLUSTER]-(f:Feature)-[r:CO_OCCURS]-(g:Feature)
MATCH (g)-[:IN_CLUSTER]->(d:Cluster {atlas: $atlas, level: $level})
WHERE d <> c
WITH c, d, count(r) AS n_edges, round(avg(r.phi), 12) AS mean_phi
RETURN d.cluster AS other, d.name AS name, d.size AS size, n_edges, mean_phi,
       toFloat(n_edges) / (c.size * d.size) AS density,
       EXISTS { (c)-[:PART_OF]->(:Cluster)<-[:PART_OF]-(d) } AS inside_same
ORDER BY n_edges DESC, other
LIMIT $limit

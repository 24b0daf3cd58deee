// title: What a community divides into
// question: Which finer communities lie inside this one, and how much of it does each hold?
// group: communities
// writes: no
// cost: under 0.1 s -- the communities inside
// key: level, cluster
// parameter: atlas string = only -- name of the atlas
// parameter: level string in coarse, middle = "coarse" -- level of the community
// parameter: cluster integer -- number of the community on that level
// parameter: limit integer = 100 -- most rows
// column: level string -- level of the finer community
// column: cluster integer -- its number on that level
// column: name string -- its caption
// column: size integer -- members
// column: shape string -- its class
// column: share float -- share of the outer community's members that it holds
// column: inside integer -- number of the community on the level above that holds it

MATCH (whole:Cluster {uid: $atlas + ':' + $level + ':' + toString($cluster)})
MATCH (whole)<-[:PART_OF*1..2]-(c:Cluster)
MATCH (c)-[:PART_OF]->(next:Cluster)
RETURN c.level AS level, c.cluster AS cluster, c.name AS name, c.size AS size, c.shape AS shape,
       toFloat(c.size) / whole.size AS share, next.cluster AS inside
ORDER BY CASE level WHEN 'middle' THEN 0 ELSE 1 END, size DESC, level, cluster
LIMIT $limit

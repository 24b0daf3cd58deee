// title: Communities of a feature
// question: To which communities does this feature belong, how surely, and where else do its edges go?
// group: communities
// writes: no
// cost: under 0.1 s -- three communities
// key: level
// parameter: atlas string = only -- name of the atlas
// parameter: feature integer -- index of the feature
// column: level string -- level of the community
// column: cluster integer -- its number on that level
// column: name string -- its caption
// column: size integer -- members
// column: shape string -- its class
// column: role string -- the feature's role there: `hub`, `leaf` or `member`
// column: stability float? -- how surely the feature belongs there, over 20 seeds
// column: second_cluster integer? -- number of the other community to which its edges weigh most
// column: second_name string? -- its caption
// column: second_share float? -- share of the phi of its edges that goes there

MATCH (f:Feature {uid: $atlas + ':' + toString($feature)})-[r:IN_CLUSTER]->(c:Cluster)
OPTIONAL MATCH (d:Cluster {uid: $atlas + ':' + c.level + ':' + toString(r.second_cluster)})
RETURN c.level AS level, c.cluster AS cluster, c.name AS name, c.size AS size, c.shape AS shape, r.role AS role,
       r.stability AS stability, r.second_cluster AS second_cluster, d.name AS second_name,
       r.second_share AS second_share
ORDER BY size DESC, level
LIMIT 10

// title: Members of a community
// question: Who belongs to this community, how surely, and how tied to the others?
// group: communities
// writes: no
// cost: under 1 s -- the members and their edges
// key: feature
// parameter: atlas string = only -- name of the atlas
// parameter: level string in coarse, middle, fine = "fine" -- level of the community
// parameter: cluster integer -- number of the community on that level
// parameter: min_stability float = 0.0 -- smallest stability: .95 lists those that every seed keeps together
// parameter: limit integer = 100 -- most rows
// column: feature integer -- index of the member
// column: name string -- its caption
// column: role string -- `hub`, `leaf` or `member`
// column: firing_count integer -- tokens on which it fires
// column: degree_inside integer -- members with which it has an edge
// column: degree integer -- all features with which it has one
// column: stability float? -- how surely it belongs there, over 20 seeds
// column: second_cluster integer? -- number of the other community to which its edges weigh most
// column: second_share float? -- share of the phi of its edges that goes there

MATCH (f:Feature)-[r:IN_CLUSTER]->(c:Cluster {uid: $atlas + ':' + $level + ':' + toString($cluster)})
WHERE coalesce(r.stability, 1.0) >= $min_stability
RETURN f.index AS feature, f.name AS name, r.role AS role, f.firing_count AS firing_count,
       COUNT { (f)-[:CO_OCCURS]-(:Feature)-[:IN_CLUSTER]->(c) } AS degree_inside,
       COUNT { (f)-[:CO_OCCURS]-() } AS degree, r.stability AS stability, r.second_cluster AS second_cluster,
       r.second_share AS second_share
ORDER BY degree_inside DESC, feature
LIMIT $limit

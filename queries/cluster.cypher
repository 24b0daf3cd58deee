// title: One community
// question: Which features and edges make up this community?
// group: communities
// writes: no
// graph: yes
// cost: under 1 s -- the members' edges; of more than 299 members the most stable ones
// key: kind, a, b
// parameter: atlas string = only -- name of the atlas
// parameter: level string in coarse, middle, fine = "fine" -- level of the community
// parameter: cluster integer -- number of the community on that level
// parameter: limit integer = 1000 -- most paths
// column: kind string -- `member` or `edge`
// column: a integer -- index of the member, or of the edge's lower end
// column: b integer -- number of the community, or index of the edge's higher end
// column: phi float? -- correlation of the two firings; empty for a member
// column: path path -- feature and community, or feature and feature

MATCH (c:Cluster {uid: $atlas + ':' + $level + ':' + toString($cluster)})
CALL (c) {
  MATCH (f:Feature)-[r:IN_CLUSTER]->(c)
  WITH f, r
  ORDER BY r.stability DESC, f.index
  LIMIT 299
  RETURN collect(f) AS members
}
CALL (c, members) {
  UNWIND members AS f
  MATCH path = (f)-[:IN_CLUSTER]->(c)
  RETURN 'member' AS kind, f.index AS a, c.cluster AS b, null AS phi, path
  UNION ALL
  UNWIND members AS f
  MATCH path = (f)-[r:CO_OCCURS]->(g:Feature)
  WHERE g IN members
  RETURN 'edge' AS kind, f.index AS a, g.index AS b, r.phi AS phi, path
}
RETURN kind, a, b, phi, path
ORDER BY kind DESC, phi DESC, a, b
LIMIT $limit

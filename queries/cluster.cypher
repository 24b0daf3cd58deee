// title: One community
// question: Which features and edges make up this community?
// group: browser
// writes: no
// key: kind, a, b
// parameter: atlas string = only -- name of the atlas
// parameter: level string = "fine" -- `coarse`, `middle` or `fine`
// parameter: cluster integer -- number of the community on that level
// parameter: limit integer = 1000 -- most paths
// column: kind string -- `member` or `edge`
// column: a integer -- index of the member, or of the edge's lower end
// column: b integer -- number of the community, or index of the edge's higher end
// column: phi float? -- correlation of the two firings; empty for a member
// column: path path -- feature and community, or feature and feature

MATCH (c:Cluster {uid: $atlas + ':' + $level + ':' + toString($cluster)})
CALL (c) {
  MATCH path = (f:Feature)-[:IN_CLUSTER]->(c)
  RETURN 'member' AS kind, f.index AS a, c.cluster AS b, null AS phi, path
  UNION ALL
  MATCH (f:Feature)-[:IN_CLUSTER]->(c)
  MATCH path = (f)-[r:CO_OCCURS]->(g:Feature)
  WHERE EXISTS { (g)-[:IN_CLUSTER]->(c) }
  RETURN 'edge' AS kind, f.index AS a, g.index AS b, r.phi AS phi, path
}
RETURN kind, a, b, phi, path
ORDER BY kind DESC, phi DESC, a, b
LIMIT $limit

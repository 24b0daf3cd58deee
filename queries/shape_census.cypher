// title: Census of shapes
// question: How many communities of each level, and how many ego subgraphs, are of each class?
// group: shape
// writes: no
// cost: under 1 s -- every feature and community is looked at
// key: subgraph, shape
// parameter: atlas string = only -- name of the atlas
// column: subgraph string -- `coarse`, `middle`, `fine` or `ego`
// column: shape string -- the class
// column: count integer -- subgraphs of that class

CALL () {
  MATCH (c:Cluster {atlas: $atlas})
  WHERE c.shape IS NOT NULL
  RETURN c.level AS subgraph, c.shape AS shape, count(*) AS count
  UNION ALL
  MATCH (f:Feature {atlas: $atlas})
  WHERE f.ego_shape IS NOT NULL
  RETURN 'ego' AS subgraph, f.ego_shape AS shape, count(*) AS count
}
RETURN subgraph, shape, count
ORDER BY subgraph, shape
LIMIT 100

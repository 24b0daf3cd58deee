// title: Edges in both forms
// question: Is every edge there as a relationship and as a node, with its two ends?
// group: housekeeping
// writes: no
// cost: over 1 s -- each of the edges is looked up in its other form
// key: kind
// parameter: atlas string = only -- name of the atlas
// column: kind string -- kind of the edges
// column: n_relationships integer -- relationships of that type
// column: n_nodes integer -- `:Edge` nodes of that kind
// column: n_broken integer -- relationships without the node of their uid between the same ends; 0 where all is well

CALL () {
  MATCH (f:Feature {atlas: $atlas})-[r:CO_OCCURS|CO_TOPIC|EXCLUDES]->(g:Feature)
  OPTIONAL MATCH (f)-[:ENDPOINT_OF]->(e:Edge {uid: r.uid})<-[:ENDPOINT_OF]-(g)
  RETURN type(r) AS kind, count(*) AS n_relationships, 0 AS n_nodes, count(*) - count(e) AS n_broken
  UNION ALL
  MATCH (e:Edge {atlas: $atlas})
  WHERE e.phi >= -1
  RETURN e.kind AS kind, 0 AS n_relationships, count(*) AS n_nodes, 0 AS n_broken
}
RETURN kind, sum(n_relationships) AS n_relationships, sum(n_nodes) AS n_nodes, sum(n_broken) AS n_broken
ORDER BY kind
LIMIT 10

// title: Counts
// question: How many nodes of each label and relationships of each type does the atlas hold?
// group: housekeeping
// writes: no
// cost: over 1 s -- every relationship is counted
// key: kind, name
// parameter: atlas string = only -- name of the atlas
// column: kind string -- `node` or `relationship`
// column: name string -- label or type; a node counts under each of its labels
// column: count integer -- how many

CALL () {
  MATCH (n:Atlas|Feature|Edge|Cluster|PeerCluster|Context|Manifold|Peak|Letter)
  WHERE n.atlas = $atlas
  UNWIND labels(n) AS name
  RETURN 'node' AS kind, name, count(*) AS count
  UNION ALL
  MATCH (n:Atlas|Feature|Edge|Cluster|PeerCluster|Context|Manifold|Peak|Letter)-[r]->()
  WHERE n.atlas = $atlas
  RETURN 'relationship' AS kind, type(r) AS name, count(*) AS count
}
RETURN kind, name, count
ORDER BY kind, name
LIMIT 1000

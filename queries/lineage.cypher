// title: The lineage of a feature
// question: What stands above this feature in the hierarchy, and what under it?
// group: hierarchy
// writes: no
// graph: yes
// cost: under 1 s -- the feature's ancestors and descendants; of more than 299 the nearest ones
// key: parent, child
// parameter: atlas string = only -- name of the atlas
// parameter: feature integer -- index of the feature
// parameter: limit integer = 1000 -- most direct pairs
// column: parent integer -- index of the parent of a direct pair
// column: child integer -- index of its child
// column: p_parent_given_child float -- share of the child's firings on which the parent fires
// column: basis string -- what the tokens alone explain of the pair
// column: path path -- the pair

MATCH (f:Feature {uid: $atlas + ':' + toString($feature)})
CALL (f) {
  MATCH way = ANY SHORTEST (f)-[:PARENT_OF]->{0,20}(kin:Feature)
  RETURN kin, length(way) AS steps
  UNION ALL
  MATCH way = ANY SHORTEST (f)<-[:PARENT_OF]-{1,20}(kin:Feature)
  RETURN kin, length(way) AS steps
}
WITH kin, steps
ORDER BY steps, kin.index
LIMIT 300
WITH collect(kin) AS kin
UNWIND kin AS parent
MATCH path = (parent)-[r:PARENT_OF]->(child:Feature)
WHERE child IN kin
RETURN parent.index AS parent, child.index AS child, r.p_parent_given_child AS p_parent_given_child, r.basis AS basis, path
ORDER BY parent, child
LIMIT $limit

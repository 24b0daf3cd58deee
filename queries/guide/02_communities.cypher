// title: Communities inside communities
// see: One coarse community in the middle, what it consists of on the middle and the fine level around it. Blue rings
//    are communities; a green one is a clique, a yellow one a star by topology alone, a pale one neither.
// picture: browser-nested.png -- a coarse community around "see" and "value", with the finer ones that lie inside it
MATCH path = (:Cluster)-[:PART_OF]->{1,2}(:Cluster {uid: $atlas + ':coarse:' + toString($community)})
RETURN path
LIMIT 149

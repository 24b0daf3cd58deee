// title: A clique
// see: The members of one fine community and every edge between them. Nearly all pairs are tied, and none of the
//    features is a hub: which one lies in the middle of the drawing says nothing.
// picture: browser-clique.png -- seven features around "since" and "because", nearly every pair connected
MATCH (f:Feature)-[:IN_CLUSTER]->(c:Cluster {uid: $atlas + ':fine:' + toString($clique)})
MATCH path = (f)-[:CO_OCCURS]->(g:Feature)
WHERE EXISTS { (g)-[:IN_CLUSTER]->(c) }
RETURN path
LIMIT 149

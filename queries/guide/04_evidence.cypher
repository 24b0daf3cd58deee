// title: Its edges as nodes, with evidence
// see: Each grey dot is one edge of the clique, tied to its two features and to the community. Click a dot: its joint
//    count, what their documents alone would give (expected), the effect (phi, lift_d) and the error rate (q).
// picture: browser-edges.png -- the same community; between any two features a grey dot, and all dots tied to it
MATCH path = (:Feature)-[:ENDPOINT_OF]->(:Edge)-[:WITHIN]->(:Cluster {uid: $atlas + ':fine:' + toString($clique)})
RETURN path
LIMIT 149

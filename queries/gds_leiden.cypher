// title: Our communities and those of Graph Data Science
// question: How alike is each community to the one that is most like it by the plugin's Leiden?
// group: compare
// writes: no
// needs: gds
// cost: over 1 s -- the plugin takes every edge into its memory, and gives it back
// key: level, cluster
// parameter: atlas string = only -- name of the atlas
// parameter: level string in coarse, middle, fine = "fine" -- level of our communities
// parameter: gamma float = 1.0 -- resolution of the plugin's Leiden: above 1 more and smaller communities
// parameter: seed integer = 0 -- of its random choices
// parameter: min_size integer = 4 -- members that our communities have at least
// parameter: limit integer = 50 -- most rows
// column: level string -- level of the community
// column: cluster integer -- its number on that level
// column: name string -- its caption
// column: size integer -- members
// column: shape string -- its class
// column: gds_size integer -- features of the plugin's community that is most like it
// column: shared integer -- features that are in both
// column: jaccard float -- shared over those in either: 1 the same community; the plugin maximises modularity, which
//    joins small communities of a large graph, where our levels are of the constant Potts model: a small value says
//    that the two differ, not which is right

CALL gds.graph.drop('feature atlas ' + $atlas, false) YIELD graphName AS former
WITH count(*) AS formers
MATCH (a:Feature {atlas: $atlas})-[r:CO_OCCURS]->(b:Feature)
WITH gds.graph.project('feature atlas ' + $atlas, a, b, {relationshipProperties: r {.phi}},
                       {undirectedRelationshipTypes: ['*']}) AS projected
WHERE projected.graphName IS NOT NULL  // of an atlas without edges there is nothing to project
CALL gds.leiden.stream(projected.graphName, {
  relationshipWeightProperty: 'phi', gamma: $gamma, randomSeed: $seed, concurrency: 1
}) YIELD nodeId, communityId
WITH communityId, collect(gds.util.asNode(nodeId)) AS members
WITH collect({number: communityId, members: members}) AS communities
CALL gds.graph.drop('feature atlas ' + $atlas, false) YIELD graphName
UNWIND communities AS community
UNWIND community.members AS f
MATCH (f)-[:IN_CLUSTER]->(c:Cluster {level: $level})
WHERE c.size >= $min_size
WITH c, community.number AS number, size(community.members) AS gds_size, count(*) AS shared
WITH c, gds_size, shared, toFloat(shared) / (c.size + gds_size - shared) AS jaccard
ORDER BY jaccard DESC, number
WITH c, collect({gds_size: gds_size, shared: shared, jaccard: jaccard})[0] AS best
RETURN c.level AS level, c.cluster AS cluster, c.name AS name, c.size AS size, c.shape AS shape,
       best.gds_size AS gds_size, best.shared AS shared, best.jaccard AS jaccard
ORDER BY level, cluster
LIMIT $limit

// title: Which shapes there are
// see: How many communities of each level have which shape. `star-like` is topology alone and chance makes as many;
//    `hub-spoke` needs leaves that exclude each other under their hub, tested.
MATCH (c:Cluster {atlas: $atlas})
RETURN c.level AS level, c.shape AS shape, count(*) AS communities
ORDER BY level, communities DESC, shape
LIMIT 100

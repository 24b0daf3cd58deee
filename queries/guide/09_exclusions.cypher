// title: Leaves that exclude each other
// see: Another hub, and the leaves of it that exclude each other most surely: a red-orange line joins two
//    features that fire on the same token less than their documents explain, though both fire with the hub.
// picture: browser-exclusions.png -- months and days of the week under one hub, red-orange lines between what excludes
MATCH (h:Feature {uid: $atlas + ':' + toString($over)})
MATCH (h)-[:CO_OCCURS]-(a:Feature)-[x:EXCLUDES]->(b:Feature)-[:CO_OCCURS]-(h)
WHERE a.firing_count < h.firing_count AND b.firing_count < h.firing_count
WITH h, a, b, x
ORDER BY x.q, x.lift_d, x.uid
LIMIT 15
MATCH path = (h)-[:CO_OCCURS]-(a)-[:EXCLUDES]->(b)-[:CO_OCCURS]-(h)
RETURN path
LIMIT 15

// title: A star
// see: The hub, large and orange, and its leaves: the rarer features that fire with it. A second orange node among them
//    is the hub of another star. What ties leaf to leaf is left out here, and asked for in the last step.
// picture: browser-star.png -- the hub "Sunday, Saturday, night" in orange with six leaves in blue around it
MATCH (h:Feature {uid: $atlas + ':' + toString($hub)})
MATCH path = (h)-[:CO_OCCURS]-(leaf:Feature)
WHERE leaf.firing_count < h.firing_count
   OR (leaf.firing_count = h.firing_count AND leaf.index > h.index)
RETURN path
LIMIT 299

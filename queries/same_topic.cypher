// title: Features of the same topic
// question: Which features fire in the same documents as this one, but on the same token no more than these explain?
// group: explore
// writes: no
// cost: under 0.1 s -- the feature's edges
// key: other
// parameter: atlas string = only -- name of the atlas
// parameter: feature integer -- index of the feature
// parameter: limit integer = 50 -- most rows
// column: other integer -- index of the other feature
// column: name string -- its caption
// column: lift float -- joint firings over what chance over all tokens explains
// column: lift_d float -- joint firings over what their documents explain
// column: joint_count integer -- tokens on which both fire
// column: also_co_occurs_with integer -- features that co-occur with both

MATCH (f:Feature {uid: $atlas + ':' + toString($feature)})-[r:CO_TOPIC]-(g:Feature)
WITH f, g, r
ORDER BY r.lift DESC, g.index
LIMIT $limit
RETURN g.index AS other, g.name AS name, r.lift AS lift, r.lift_d AS lift_d, r.joint_count AS joint_count,
       COUNT { (f)-[:CO_OCCURS]-(:Feature)-[:CO_OCCURS]-(g) } AS also_co_occurs_with
ORDER BY lift DESC, other
LIMIT $limit

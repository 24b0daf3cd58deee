// title: Edges on few tokens
// question: Which strong edges rest on a handful of joint firings, and could go with the next document?
// group: quality
// writes: no
// cost: under 1 s -- an index on phi; every edge is looked at where few rest on few tokens
// key: a, b
// parameter: atlas string = only -- name of the atlas
// parameter: max_joint integer = 10 -- most joint firings
// parameter: limit integer = 50 -- most rows
// column: a integer -- index of the feature with the lower index
// column: a_name string -- its caption
// column: b integer -- index of the feature with the higher index
// column: b_name string -- its caption
// column: joint_count integer -- tokens on which both fire
// column: phi float -- correlation of the two firings
// column: lift_d float -- joint firings over what their documents explain
// column: q float -- adjusted p

MATCH (e:Edge {atlas: $atlas})
WHERE e.phi >= -1 AND e.kind = 'CO_OCCURS' AND e.joint_count <= $max_joint
// The index is on both: named first, the atlas lets it give the order.
WITH e
ORDER BY e.atlas DESC, e.phi DESC, e.a, e.b
LIMIT $limit
MATCH (f:Feature {uid: $atlas + ':' + toString(e.a)})
MATCH (g:Feature {uid: $atlas + ':' + toString(e.b)})
RETURN e.a AS a, f.name AS a_name, e.b AS b, g.name AS b_name, e.joint_count AS joint_count, e.phi AS phi,
       e.lift_d AS lift_d, e.q AS q
ORDER BY phi DESC, a, b
LIMIT $limit

// title: Features that lost tokens to others
// question: Which features are silent where several rarer ones fire that point their way?
// group: geometry
// writes: no
// cost: under 1 s -- every such pair is looked at
// key: parent
// parameter: atlas string = only -- name of the atlas
// parameter: same_item boolean = false -- whether pairs of features of one vocabulary item count
// parameter: limit integer = 50 -- most rows
// column: parent integer -- index of the feature
// column: name string -- its caption
// column: children integer -- rarer features that fire in its place
// column: lost integer -- tokens of these on which it does not fire, a token of two counted twice
// column: firing_count integer -- tokens on which it fires
// column: names list<string> -- captions of the children, the largest first

MATCH (child:Feature {atlas: $atlas})-[r:ABSORBS]->(parent:Feature)
WHERE r.status <> 'dropped' AND ($same_item OR NOT r.same_item)
WITH child, r, parent
ORDER BY r.child_count_any DESC, child.index
WITH parent, count(*) AS children, sum(r.child_count_any - r.joint_count_any) AS lost,
     collect(child.name)[..8] AS names
RETURN parent.index AS parent, parent.name AS name, children, lost, parent.firing_count AS firing_count, names
ORDER BY children DESC, lost DESC, parent
LIMIT $limit

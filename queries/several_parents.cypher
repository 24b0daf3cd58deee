// title: Features with several parents
// question: Which features stand under two parents or more that do not stand under each other?
// group: hierarchy
// writes: no
// cost: under 1 s -- every feature is looked at
// key: child
// parameter: atlas string = only -- name of the atlas
// parameter: min_parents integer = 2 -- fewest direct parents
// parameter: limit integer = 50 -- most rows
// column: child integer -- index of the feature
// column: name string -- its caption
// column: firing_count integer -- tokens on which it fires
// column: n_parents integer -- direct parents
// column: parents list<string> -- captions of its direct parents, the most frequent first, eight at most

MATCH (f:Feature {atlas: $atlas})
WHERE f.n_parents >= $min_parents
MATCH (f)<-[:PARENT_OF]-(parent:Feature)
WITH f, parent
ORDER BY f.n_parents DESC, f.index, parent.firing_count DESC, parent.index
WITH f, collect(parent.name)[..8] AS parents
RETURN f.index AS child, f.name AS name, f.firing_count AS firing_count, f.n_parents AS n_parents, parents
ORDER BY n_parents DESC, child
LIMIT $limit

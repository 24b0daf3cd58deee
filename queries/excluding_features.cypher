// title: Features that exclude the most
// question: Which features exclude many others, and with how many do they fire?
// group: exclusion
// writes: no
// cost: under 1 s -- every feature is looked at
// key: feature
// parameter: atlas string = only -- name of the atlas
// parameter: min_exclusions integer = 1 -- fewest exclusions
// parameter: limit integer = 50 -- most rows
// column: feature integer -- index of the feature
// column: name string -- its caption
// column: firing_count integer -- tokens on which it fires
// column: n_exclusions integer -- features that it excludes
// column: n_neighbours integer -- features with which it co-occurs
// column: excluded list<string> -- captions of those that it excludes, the least joint first, eight at most

MATCH (f:Feature {atlas: $atlas})
WITH f, COUNT { (f)-[:EXCLUDES]-() } AS n_exclusions
WHERE n_exclusions >= $min_exclusions
WITH f, n_exclusions
ORDER BY n_exclusions DESC, f.index
LIMIT $limit
CALL (f) {
  MATCH (f)-[r:EXCLUDES]-(other:Feature)
  WITH other, r ORDER BY r.lift_d, r.expected DESC, other.index LIMIT 8
  RETURN collect(other.name) AS excluded
}
RETURN f.index AS feature, f.name AS name, f.firing_count AS firing_count, n_exclusions,
       COUNT { (f)-[:CO_OCCURS]-() } AS n_neighbours, excluded
ORDER BY n_exclusions DESC, feature
LIMIT $limit

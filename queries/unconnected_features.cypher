// title: Features without edges
// question: Which alive features have no edge on the backbone, and so no community?
// group: housekeeping
// writes: no
// cost: under 1 s -- every feature is looked at
// key: feature
// parameter: atlas string = only -- name of the atlas
// parameter: limit integer = 50 -- most rows
// column: feature integer -- index of the feature
// column: name string -- its caption
// column: firing_count integer -- tokens on which it fires
// column: n_topics integer -- features of its topic
// column: n_exclusions integer -- features that it excludes
// column: top_tokens list<string> -- the items under its strongest firings

MATCH (f:Feature {atlas: $atlas})
WHERE f.class = 'alive' AND NOT EXISTS { (f)-[:CO_OCCURS]-() }
RETURN f.index AS feature, f.name AS name, f.firing_count AS firing_count,
       COUNT { (f)-[:CO_TOPIC]-() } AS n_topics, COUNT { (f)-[:EXCLUDES]-() } AS n_exclusions,
       f.top_tokens AS top_tokens
ORDER BY firing_count DESC, feature
LIMIT $limit

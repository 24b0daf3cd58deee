// title: One feature
// question: What does the atlas know of this feature?
// group: explore
// writes: no
// cost: under 0.1 s -- one feature and the numbers of its edges
// key: feature
// parameter: atlas string = only -- name of the atlas
// parameter: feature integer -- index of the feature
// column: feature integer -- index of the feature
// column: name string -- its caption
// column: class string -- `alive`, `dead` or `dense`
// column: firing_count integer -- tokens on which it fires
// column: density float -- share of the tokens on which it fires
// column: mean float -- mean activation where it fires
// column: max float -- largest activation
// column: top_tokens list<string> -- the items under its strongest firings
// column: n_neighbours integer -- features with which it co-occurs on the backbone
// column: n_topics integer -- features of its topic
// column: n_exclusions integer -- features that it excludes
// column: n_parents integer -- direct parents
// column: n_children integer -- direct children
// column: n_same integer -- features that fire on nearly the same tokens
// column: ego_size integer? -- rarer neighbours (the leaves)
// column: ego_shape string? -- class of its ego subgraph
// column: ego_family string? -- `item`, `white space` or `punctuation` where hub and leaves are features of one token
// column: cluster integer? -- number of its community on the fine level
// column: cluster_name string? -- caption of that community
// column: role string? -- its role there: `hub`, `leaf` or `member`
// column: neuronpedia_url string? -- its page on Neuronpedia

MATCH (f:Feature {uid: $atlas + ':' + toString($feature)})
OPTIONAL MATCH (f)-[r:IN_CLUSTER]->(c:Cluster {level: 'fine'})
RETURN f.index AS feature, f.name AS name, f.class AS class, f.firing_count AS firing_count, f.density AS density,
       f.mean AS mean, f.max AS max, f.top_tokens AS top_tokens,
       COUNT { (f)-[:CO_OCCURS]-() } AS n_neighbours, COUNT { (f)-[:CO_TOPIC]-() } AS n_topics,
       COUNT { (f)-[:EXCLUDES]-() } AS n_exclusions, COUNT { (f)<-[:PARENT_OF]-() } AS n_parents,
       COUNT { (f)-[:PARENT_OF]->() } AS n_children, COUNT { (f)-[:SAME_AS]-() } AS n_same,
       f.ego_size AS ego_size, f.ego_shape AS ego_shape, f.ego_family AS ego_family, c.cluster AS cluster,
       c.name AS cluster_name, r.role AS role, f.neuronpedia_url AS neuronpedia_url
ORDER BY feature
LIMIT 1

// title: Hubs
// question: Which features have the most rarer neighbours, and of how many communities are they the hub?
// group: shape
// writes: no
// cost: under 1 s -- every feature is looked at
// key: feature
// parameter: atlas string = only -- name of the atlas
// parameter: min_leaves integer = 4 -- fewest leaves
// parameter: limit integer = 50 -- most rows
// column: feature integer -- index of the feature
// column: name string -- its caption
// column: firing_count integer -- tokens on which it fires
// column: degree integer -- neighbours on the backbone
// column: ego_size integer -- rarer ones among them (the leaves)
// column: leaf_density float? -- edges among the leaves over all pairs of leaves
// column: ego_shape string? -- class of its ego subgraph
// column: hub_of integer -- communities of which it is the hub

MATCH (f:Feature {atlas: $atlas})
WHERE f.ego_size >= $min_leaves
RETURN f.index AS feature, f.name AS name, f.firing_count AS firing_count,
       COUNT { (f)-[:CO_OCCURS]-() } AS degree, f.ego_size AS ego_size, f.leaf_density AS leaf_density,
       f.ego_shape AS ego_shape, COUNT { (f)-[:IN_CLUSTER {role: 'hub'}]->() } AS hub_of
ORDER BY ego_size DESC, feature
LIMIT $limit

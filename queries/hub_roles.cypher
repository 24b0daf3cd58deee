// title: Hubs by their role
// question: Which hubs are parents of their leaves, and which only modify them?
// group: shape
// writes: no
// cost: under 1 s -- every feature is looked at, and the hubs' edges
// key: feature
// parameter: atlas string = only -- name of the atlas
// parameter: role string in parent, modifier = "modifier" -- `parent` (fires wherever most leaves do) or `modifier` (rarely, yet far above chance)
// parameter: families boolean = false -- whether egos of one token's features are read, too
// parameter: limit integer = 50 -- most rows
// column: feature integer -- index of the hub
// column: name string -- its caption
// column: ego_size integer -- rarer neighbours (the leaves)
// column: ego_shape string? -- class of its ego subgraph
// column: ego_hub_given_leaf float? -- median over the leaves of P(hub given leaf)
// column: ego_family string? -- `item`, `white space` or `punctuation` where hub and leaves are features of one token
// column: leaves list<string> -- captions of its leaves, the strongest first, eight at most

MATCH (f:Feature {atlas: $atlas, ego_hub_role: $role})
WHERE $families OR f.ego_family IS NULL
WITH f
ORDER BY f.ego_size DESC, f.index
LIMIT $limit
CALL (f) {
  MATCH (f)-[r:CO_OCCURS]-(leaf:Feature)
  WHERE leaf.firing_count < f.firing_count OR (leaf.firing_count = f.firing_count AND leaf.index > f.index)
  WITH leaf, r ORDER BY r.phi DESC, leaf.index LIMIT 8
  RETURN collect(leaf.name) AS leaves
}
RETURN f.index AS feature, f.name AS name, f.ego_size AS ego_size, f.ego_shape AS ego_shape,
       f.ego_hub_given_leaf AS ego_hub_given_leaf, f.ego_family AS ego_family, leaves
ORDER BY ego_size DESC, feature
LIMIT $limit

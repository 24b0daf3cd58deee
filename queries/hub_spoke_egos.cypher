// title: Hub-spoke ego subgraphs
// question: Under which features do the rarer neighbours exclude each other?
// group: shape
// writes: no
// cost: under 0.1 s -- the features of the class, and their edges
// key: feature
// parameter: atlas string = only -- name of the atlas
// parameter: min_leaves integer = 4 -- fewest leaves
// parameter: basis string? in lexical, contextual = null -- whether the leaves exclude each other on one vocabulary item,
//    too (`contextual`) or not (`lexical`); null reads both
// parameter: limit integer = 50 -- most rows
// column: feature integer -- index of the hub
// column: name string -- its caption
// column: ego_size integer -- leaves
// column: leaf_density float? -- edges among the leaves over all pairs of leaves
// column: leaf_association float? -- median association of two leaves given the hub, in bits; below 0 exclusive
// column: hub_given_leaf float? -- median over the leaves of P(hub given leaf)
// column: basis string? -- `contextual` where the leaves exclude each other on one vocabulary item, too; else `lexical`
// column: leaves list<string> -- captions of the leaves, the strongest tie to the hub first

MATCH (h:Feature:EgoHubSpoke {atlas: $atlas})
WHERE h.ego_size >= $min_leaves AND ($basis IS NULL OR h.ego_basis = $basis)
WITH h
ORDER BY h.ego_size DESC, h.index
LIMIT $limit
CALL (h) {
  MATCH (h)-[r:CO_OCCURS]-(leaf:Feature)
  WHERE leaf.firing_count < h.firing_count
     OR (leaf.firing_count = h.firing_count AND leaf.index > h.index)
  WITH leaf, r ORDER BY r.phi DESC, leaf.index
  RETURN collect(leaf.name) AS leaves
}
RETURN h.index AS feature, h.name AS name, h.ego_size AS ego_size, h.leaf_density AS leaf_density,
       h.ego_leaf_association AS leaf_association, h.ego_hub_given_leaf AS hub_given_leaf,
       h.ego_basis AS basis, leaves
ORDER BY ego_size DESC, feature
LIMIT $limit

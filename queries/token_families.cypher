// title: Families of tokens
// question: Which hubs and leaves are all features of one token, of white space or of punctuation?
// group: tokens
// writes: no
// cost: under 1 s -- every feature is looked at, and the families' edges
// key: feature
// parameter: atlas string = only -- name of the atlas
// parameter: family string? in item, white space, punctuation = null -- the kind of family; null reads all
// parameter: limit integer = 50 -- most rows
// column: feature integer -- index of the hub
// column: name string -- its caption
// column: family string -- `item`, `white space` or `punctuation`
// column: token string -- the item under its strongest firings
// column: ego_size integer -- rarer neighbours (the leaves)
// column: ego_shape string? -- class of its ego subgraph
// column: leaves list<string> -- captions of the leaves, the strongest tie to the hub first, eight at most

MATCH (h:Feature {atlas: $atlas})
WHERE h.ego_family IS NOT NULL AND ($family IS NULL OR h.ego_family = $family)
WITH h
ORDER BY h.ego_size DESC, h.index
LIMIT $limit
CALL (h) {
  MATCH (h)-[r:CO_OCCURS]-(leaf:Feature)
  WHERE leaf.firing_count < h.firing_count
     OR (leaf.firing_count = h.firing_count AND leaf.index > h.index)
  WITH leaf, r ORDER BY r.phi DESC, leaf.index LIMIT 8
  RETURN collect(leaf.name) AS leaves
}
RETURN h.index AS feature, h.name AS name, h.ego_family AS family, h.top_tokens[0] AS token, h.ego_size AS ego_size,
       h.ego_shape AS ego_shape, leaves
ORDER BY ego_size DESC, feature
LIMIT $limit

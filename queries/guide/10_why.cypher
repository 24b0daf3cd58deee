// title: Why is this a star
// see: The evidence for the star of step 8, line by line, beside what the rule asks. Pairs of leaves are testable where
//    chance alone would give ten joint firings or more; depleted ones fire together less than that, given the hub.
MATCH (h:Feature {uid: $atlas + ':' + toString($hub)})
UNWIND [
  ['class', h.ego_shape, 'hub-spoke'],
  ['leaves', h.ego_size, '4 or more'],
  ['testable pairs of leaves', h.ego_testable_pairs, '3 or more'],
  ['leaves in them', h.ego_covered_leaves, 'half of the leaves'],
  ['of these pairs, depleted', h.ego_depleted_pairs, 'half of them, and more than are enriched'],
  ['of these pairs, enriched', h.ego_enriched_pairs, 'fewer than are depleted'],
  ['bits between leaves, given the hub', round(h.ego_leaf_association, 2), 'below 0 they avoid each other'],
  ['edges among leaves, share', round(h.leaf_density, 2), '0 a bare star, 1 a clique'],
  ['P(hub | leaf), median', round(h.ego_hub_given_leaf, 2), '.8 or more: the hub is their parent'],
  ['basis', h.ego_basis, 'contextual: on one and the same word, too'],
  ['halves of the documents that show it again', h.ego_halves, '2']
] AS line
RETURN line[0] AS evidence, line[1] AS value, line[2] AS `asked for, or read as`

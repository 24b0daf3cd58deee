// title: Neighbours of a feature
// question: With which features does this one fire, and do the tokens alone explain it?
// group: explore
// writes: no
// cost: under 0.1 s -- the feature's edges
// key: neighbour
// parameter: atlas string = only -- name of the atlas
// parameter: feature integer -- index of the feature
// parameter: min_phi float = -1.0 -- smallest phi
// parameter: basis string? in lexical, contextual, mixed, untested = null -- what the tokens alone explain; null reads all
// parameter: by string in phi, lift_d, p_neighbour, p_feature = "phi" -- column by which the strongest come first
// parameter: limit integer = 50 -- most rows
// column: neighbour integer -- index of the neighbour
// column: name string -- its caption
// column: phi float -- correlation of the two firings
// column: joint_count integer -- tokens on which both fire
// column: lift_d float -- joint firings over what their documents explain
// column: lift_t float? -- joint firings over what their tokens explain
// column: basis string -- what the tokens alone explain
// column: p_neighbour float -- share of the feature's firings on which the neighbour fires
// column: p_feature float -- share of the neighbour's firings on which the feature fires

MATCH (f:Feature {uid: $atlas + ':' + toString($feature)})-[r:CO_OCCURS]-(g:Feature)
WHERE r.phi >= $min_phi AND ($basis IS NULL OR r.basis = $basis)
WITH g, r, startNode(r) = f AS lower
WITH g, r, CASE WHEN lower THEN r.p_b_given_a ELSE r.p_a_given_b END AS p_neighbour,
     CASE WHEN lower THEN r.p_a_given_b ELSE r.p_b_given_a END AS p_feature
RETURN g.index AS neighbour, g.name AS name, r.phi AS phi, r.joint_count AS joint_count, r.lift_d AS lift_d,
       r.lift_t AS lift_t, r.basis AS basis, p_neighbour, p_feature
ORDER BY CASE $by WHEN 'phi' THEN phi WHEN 'lift_d' THEN lift_d WHEN 'p_feature' THEN p_feature ELSE p_neighbour END DESC,
         neighbour
LIMIT $limit

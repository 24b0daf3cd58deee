// title: Composition or ambiguity
// question: Which communities or ego subgraphs behave like parts that add up, or like rival readings of one token?
// group: shape
// writes: no
// cost: under 1 s -- the communities, and the features with leaves
// key: subgraph, cluster, hub
// parameter: atlas string = only -- name of the atlas
// parameter: verdict string in composition, ambiguity, neither, undetermined = "ambiguity" -- the verdict
// parameter: subgraph string? in coarse, middle, fine, ego = null -- level of communities, or ego; null reads all
// parameter: limit integer = 50 -- most rows
// column: subgraph string -- level of the community, or `ego`
// column: cluster integer? -- number of the community; null for an ego subgraph
// column: hub integer -- index of the hub
// column: name string -- caption of the hub
// column: shape string? -- its class, which the verdict has not read
// column: half_shape string? -- its class on the documents that the verdict has not seen
// column: reason string -- what decided the verdict
// column: joint_tokens integer -- tokens on which two members or more fire
// column: item_share float? -- share of these that are one item
// column: strength_correlation float? -- median rank correlation of two members' activations; below 0 they trade off
// column: position_trend float? -- correlation of members firing with the place in the context; below 0 they fall
// column: item_r2 float? -- share of the members' space that a token's item predicts

CALL () {
  MATCH (c:Cluster {atlas: $atlas})
  WHERE c.verdict = $verdict AND ($subgraph IS NULL OR c.level = $subgraph)
  MATCH (h:Feature {uid: $atlas + ':' + toString(c.hub)})
  RETURN c.level AS subgraph, c.cluster AS cluster, h.index AS hub, h.name AS name, c.shape AS shape,
         c.half_shape AS half_shape, c.reason AS reason, c.joint_tokens AS joint_tokens, c.item_share AS item_share,
         c.strength_correlation AS strength_correlation, c.position_trend AS position_trend, c.item_r2 AS item_r2
  UNION ALL
  MATCH (h:Feature {atlas: $atlas})
  WHERE h.ego_verdict = $verdict AND ($subgraph IS NULL OR $subgraph = 'ego')
  RETURN 'ego' AS subgraph, NULL AS cluster, h.index AS hub, h.name AS name, h.ego_shape AS shape,
         h.ego_half_shape AS half_shape, h.ego_reason AS reason, h.ego_joint_tokens AS joint_tokens,
         h.ego_item_share AS item_share, h.ego_strength_correlation AS strength_correlation,
         h.ego_position_trend AS position_trend, h.ego_item_r2 AS item_r2
}
RETURN subgraph, cluster, hub, name, shape, half_shape, reason, joint_tokens, item_share, strength_correlation,
       position_trend, item_r2
ORDER BY joint_tokens DESC, subgraph, cluster, hub
LIMIT $limit

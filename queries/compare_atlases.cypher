// title: Two atlases side by side
// question: In what do two atlases of one database differ: size, edges, communities, shapes?
// group: compare
// writes: no
// cost: under 1 s -- every feature and community of both is looked at
// key: figure
// parameter: atlas string = only -- name of the one atlas
// parameter: other_atlas string -- name of the other
// column: figure string -- what is compared
// column: value float? -- the one atlas's
// column: other_value float? -- the other's

UNWIND [$atlas, $other_atlas] AS name
MATCH (a:Atlas {uid: name})
CALL (a) {
  UNWIND ['n_tokens', 'd_sae', 'n_alive', 'n_significant', 'n_edges', 'phi_cut', 'empirical_fdr'] AS figure
  RETURN figure, toFloat(a[figure]) AS value
  UNION ALL
  MATCH (c:Cluster {atlas: a.uid})
  WITH c.level + ' communities' AS figure, toFloat(count(*)) AS value
  RETURN figure, value
  UNION ALL
  MATCH (c:Cluster {atlas: a.uid})
  WHERE c.shape IN ['fully connected', 'hub-spoke', 'star-like']
  WITH c.level + ' ' + c.shape AS figure, toFloat(count(*)) AS value
  RETURN figure, value
  UNION ALL
  MATCH (f:Feature {atlas: a.uid})
  WHERE f.ego_shape IS NOT NULL
  WITH 'ego ' + f.ego_shape AS figure, toFloat(count(*)) AS value
  RETURN figure, value
}
WITH figure, max(CASE WHEN a.uid = $atlas THEN value END) AS value,
     max(CASE WHEN a.uid = $other_atlas THEN value END) AS other_value
RETURN figure, value, other_value
ORDER BY figure
LIMIT 100

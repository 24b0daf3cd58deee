// title: The same features in two atlases
// question: Which feature of another atlas is which of this one, and how alike are the two?
// group: compare
// writes: no
// cost: under 1 s -- every match of the two atlases is looked at
// key: feature, other_feature
// parameter: atlas string = only -- name of the atlas that `atlas compare` was given first
// parameter: other_atlas string -- name of the other
// parameter: index integer? = null -- index of a feature of the one atlas; null reads all
// parameter: limit integer = 50 -- most rows
// column: feature integer -- index of the feature
// column: name string -- its caption
// column: other_feature integer -- index of the feature that it is matched with
// column: other_name string -- its caption
// column: by string -- `both`, `firings` or `decoder`: of what each is the nearest of the other
// column: cosine float? -- cosine of the two decoder directions, where matched so
// column: phi float? -- correlation of the two firings, where matched so
// column: shape string? -- class of the ego subgraph of the one
// column: other_shape string? -- class of the ego subgraph of the other

MATCH (f:Feature {atlas: $atlas})-[m:MATCHES]->(g:Feature {atlas: $other_atlas})
WHERE $index IS NULL OR f.index = $index
RETURN f.index AS feature, f.name AS name, g.index AS other_feature, g.name AS other_name, m.by AS by,
       m.cosine AS cosine, m.phi AS phi, f.ego_shape AS shape, g.ego_shape AS other_shape
ORDER BY CASE m.by WHEN 'both' THEN 0 WHEN 'firings' THEN 1 ELSE 2 END, coalesce(m.phi, m.cosine) DESC, feature,
         other_feature
LIMIT $limit

// title: How many features two atlases share
// question: Of which atlases are there comparisons, and how many features are matched, beside chance?
// group: compare
// writes: no
// cost: under 0.1 s -- the comparisons of one atlas are read, and no feature
// key: atlas, other_atlas
// parameter: atlas string = only -- name of the atlas that `atlas compare` was given first
// column: atlas string -- name of the one
// column: other_atlas string -- name of the other
// column: control string? -- what the other is a control of, where `atlas baseline` made it
// column: n_alive integer -- alive features of the one
// column: other_alive integer -- alive features of the other
// column: matched_by_decoder integer? -- features matched by direction
// column: matched_by_firings integer? -- features matched by the tokens on which they fire
// column: matched_by_both integer? -- features whose two matches are the same feature
// column: median_cosine float? -- median cosine of the nearest direction
// column: median_cosine_null float? -- the same of random directions
// column: median_phi float? -- median of the highest phi
// column: median_phi_null float? -- the same of permuted firings

MATCH (a:Atlas {uid: $atlas})-[c:COMPARED_WITH]->(b:Atlas)
RETURN a.uid AS atlas, b.uid AS other_atlas, c.control AS control, c.n_alive AS n_alive, c.other_alive AS other_alive,
       c.matched_by_decoder AS matched_by_decoder, c.matched_by_firings AS matched_by_firings,
       c.matched_by_both AS matched_by_both, c.median_cosine AS median_cosine,
       c.median_cosine_null AS median_cosine_null, c.median_phi AS median_phi, c.median_phi_null AS median_phi_null
ORDER BY atlas, other_atlas
LIMIT 100

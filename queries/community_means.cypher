// title: Mean directions of communities
// question: Which communities have a mean decoder direction that random features do not have, and where is it found?
// group: geometry
// writes: no
// cost: under 0.1 s -- the communities of a level
// key: level, cluster
// parameter: atlas string = only -- name of the atlas
// parameter: level string in coarse, middle, fine = "middle" -- level of the communities
// parameter: min_size integer = 3 -- fewest members
// parameter: limit integer = 50 -- most rows
// column: level string -- level of the community
// column: cluster integer -- its number on that level
// column: name string -- its caption
// column: size integer -- members
// column: mean_norm float -- length of the mean of the members' directions; 1 all the same
// column: mean_norm_null float -- the same of as many random features
// column: mean_norm_p float -- share of random sets that reach it, the real one counted in
// column: activation_share float? -- share of the variance of the members' activations along the mean
// column: activation_share_null float? -- the same of random sets
// column: mean_items list<string> -- items on which all that fires adds up to the most along the mean
// column: nearest integer? -- index of the feature outside whose direction is nearest to the mean
// column: nearest_name string? -- its caption
// column: mean_cosine float -- its cosine

MATCH (c:Cluster {atlas: $atlas, level: $level})
WHERE c.mean_norm IS NOT NULL AND c.size >= $min_size
WITH c
ORDER BY c.mean_norm - c.mean_norm_null DESC, c.cluster
LIMIT $limit
OPTIONAL MATCH (f:Feature {uid: $atlas + ':' + toString(c.mean_features[0])})
RETURN c.level AS level, c.cluster AS cluster, c.name AS name, c.size AS size, c.mean_norm AS mean_norm,
       c.mean_norm_null AS mean_norm_null, c.mean_norm_p AS mean_norm_p, c.activation_share AS activation_share,
       c.activation_share_null AS activation_share_null, c.mean_items AS mean_items, f.index AS nearest,
       f.name AS nearest_name, c.mean_cosine AS mean_cosine
ORDER BY mean_norm - mean_norm_null DESC, level, cluster
LIMIT $limit

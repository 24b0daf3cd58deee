// title: Classes beside other scores
// question: What do the scores of Clarke, Bhatnagar and Bloom (2024) say of communities, and what is their class here?
// group: compare
// writes: no
// cost: under 0.1 s -- every community is looked at
// key: level, cluster
// parameter: atlas string = only -- name of the atlas
// parameter: shape string? in pair, triangle, fully connected, hub-spoke, star-like, undetermined = null -- class;
//    null reads all
// parameter: min_size integer = 4 -- fewest members
// parameter: limit integer = 50 -- most rows
// column: level string -- `coarse`, `middle` or `fine`
// column: cluster integer -- number within the level
// column: name string -- caption
// column: size integer -- members
// column: shape string -- class
// column: template string? -- ideal graph that describes it shortest, by 2 bits or more
// column: margin_bits float? -- by how much
// column: q float? -- adjusted p of its centralization among random connected graphs
// column: peer_hub_spoke float -- their score of a star
// column: peer_strongly_connected float -- their score of a clique
// column: peer_linear float -- their score of a chain

MATCH (c:Cluster {atlas: $atlas})
WHERE c.size >= $min_size AND ($shape IS NULL OR c.shape = $shape)
RETURN c.level AS level, c.cluster AS cluster, c.name AS name, c.size AS size, c.shape AS shape,
       c.template AS template, c.margin_bits AS margin_bits, c.q AS q, c.peer_hub_spoke AS peer_hub_spoke,
       c.peer_strongly_connected AS peer_strongly_connected, c.peer_linear AS peer_linear
ORDER BY level, cluster
LIMIT $limit

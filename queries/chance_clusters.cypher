// title: Communities whose class chance makes as well
// question: Which communities have a class that random graphs of their size have as often?
// group: quality
// writes: no
// cost: under 0.1 s -- the communities of the level
// key: level, cluster
// parameter: atlas string = only -- name of the atlas
// parameter: level string in coarse, middle, fine = "fine" -- level of the communities
// parameter: min_size integer = 4 -- fewest members
// parameter: min_chance float = 0.05 -- smallest share of all connected graphs of the size that have the class
// parameter: min_q float = 0.05 -- smallest adjusted p of the centralization of a star
// parameter: limit integer = 50 -- most rows
// column: level string -- level of the community
// column: cluster integer -- its number on that level
// column: name string -- its caption
// column: size integer -- members
// column: shape string -- its class
// column: chance float? -- share of all connected graphs of the size, up to 7, that have the class
// column: centralization float -- Freeman's degree centralization
// column: q float? -- adjusted p of that among random connected graphs with as many members and edges
// column: stable_cuts integer? -- edge cuts, of five, at which the class holds

MATCH (c:Cluster {atlas: $atlas, level: $level})
WHERE c.size >= $min_size AND c.shape <> 'undetermined'
  AND (c.chance >= $min_chance OR (c.shape IN ['hub-spoke', 'star-like'] AND c.q >= $min_q))
RETURN c.level AS level, c.cluster AS cluster, c.name AS name, c.size AS size, c.shape AS shape, c.chance AS chance,
       c.centralization AS centralization, c.q AS q, c.stable_cuts AS stable_cuts
ORDER BY size DESC, level, cluster
LIMIT $limit

// title: Communities that hold
// question: Which communities come back under every seed of the method, and with other documents?
// group: communities
// writes: no
// cost: under 0.1 s -- the communities of the level
// key: level, cluster
// parameter: atlas string = only -- name of the atlas
// parameter: level string in coarse, middle, fine = "fine" -- level of the communities
// parameter: min_size integer = 4 -- fewest members
// parameter: min_stability float = 0.9 -- smallest stability over seeds, and persistence over documents where it is known
// parameter: limit integer = 50 -- most rows
// column: level string -- level of the community
// column: cluster integer -- its number on that level
// column: name string -- its caption
// column: size integer -- members
// column: shape string -- its class
// column: stability float -- mean stability of its members over 20 seeds
// column: persistence float? -- mean overlap with what documents drawn anew give
// column: stable_cuts integer? -- edge cuts, of five, at which its class holds
// column: stable_cells integer? -- neighbouring cells of the grid, of eight, in which it is there again with its class

MATCH (c:Cluster {atlas: $atlas, level: $level})
WHERE c.size >= $min_size AND c.stability >= $min_stability AND coalesce(c.persistence, 1.0) >= $min_stability
RETURN c.level AS level, c.cluster AS cluster, c.name AS name, c.size AS size, c.shape AS shape,
       c.stability AS stability, c.persistence AS persistence, c.stable_cuts AS stable_cuts,
       c.stable_cells AS stable_cells
ORDER BY stability DESC, persistence DESC, level, cluster
LIMIT $limit

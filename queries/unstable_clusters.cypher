// title: Communities that chance decides
// question: Which communities do other seeds of the method, or other documents, tear apart?
// group: communities
// writes: no
// cost: under 0.1 s -- the communities of the level
// key: level, cluster
// parameter: atlas string = only -- name of the atlas
// parameter: level string in coarse, middle, fine = "fine" -- level of the communities
// parameter: min_size integer = 4 -- fewest members
// parameter: max_stability float = 0.7 -- largest stability over seeds, or persistence over documents
// parameter: limit integer = 50 -- most rows
// column: level string -- `coarse`, `middle` or `fine`
// column: cluster integer -- number within the level
// column: name string -- caption
// column: size integer -- members
// column: shape string -- class
// column: stability float? -- mean stability of its members over 20 seeds
// column: persistence float? -- mean overlap with what documents drawn anew give

MATCH (c:Cluster {atlas: $atlas, level: $level})
WHERE c.size >= $min_size AND (c.stability <= $max_stability OR c.persistence <= $max_stability)
RETURN c.level AS level, c.cluster AS cluster, c.name AS name, c.size AS size, c.shape AS shape,
       c.stability AS stability, c.persistence AS persistence
ORDER BY stability, persistence, level, cluster
LIMIT $limit

// title: Communities of two atlases with the same tokens
// question: Which communities of one atlas have tokens in common with communities of another?
// group: compare
// writes: no
// cost: under 1 s -- the tokens of every community of the level, of both atlases
// key: cluster, other_cluster
// parameter: atlas string = only -- name of the one atlas
// parameter: other_atlas string -- name of the other
// parameter: level string in coarse, middle, fine = "fine" -- level of the communities
// parameter: cluster integer? = null -- number of a community of the one atlas; null reads all
// parameter: min_shared integer = 3 -- fewest tokens in common, of eight
// parameter: limit integer = 50 -- most rows
// column: cluster integer -- number of the one atlas's community
// column: name string -- its caption
// column: other_cluster integer -- number of the other atlas's
// column: other_name string -- its caption
// column: n_shared integer -- tokens that both have among their top tokens
// column: overlap float -- these over the tokens that either has
// column: shared list<string> -- the tokens, in their own order
// column: shape string -- class of the one
// column: other_shape string -- class of the other

MATCH (c:Cluster {level: $level})
WHERE (c.atlas = $atlas AND ($cluster IS NULL OR c.cluster = $cluster)) OR c.atlas = $other_atlas
UNWIND c.top_tokens AS token
WITH token, collect(DISTINCT CASE WHEN c.atlas = $atlas THEN c END) AS here,
     collect(DISTINCT CASE WHEN c.atlas = $other_atlas THEN c END) AS there
UNWIND here AS c
UNWIND there AS d
WITH c, d, token
ORDER BY token
WITH c, d, collect(token) AS shared
WHERE size(shared) >= $min_shared
RETURN c.cluster AS cluster, c.name AS name, d.cluster AS other_cluster, d.name AS other_name,
       size(shared) AS n_shared,
       toFloat(size(shared)) / (size(c.top_tokens) + size(d.top_tokens) - size(shared)) AS overlap, shared,
       c.shape AS shape, d.shape AS other_shape
ORDER BY overlap DESC, n_shared DESC, cluster, other_cluster
LIMIT $limit

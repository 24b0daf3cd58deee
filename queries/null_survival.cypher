// title: What the null keeps
// question: How many CO_OCCURS pairs pass on a copy of the firings that chance has permuted, against the real ones?
// group: quality
// writes: no
// cost: under 0.1 s -- one node an atlas
// key: atlas
// parameter: atlas string? = null -- name of one atlas; null reads all
// parameter: limit integer = 50 -- most rows
// column: atlas string -- name of the atlas
// column: control string? -- the null that the run was repeated on: `permute`, `shift` or `none`
// column: n_pairs_tested integer -- all pairs of alive features
// column: n_significant integer -- pairs that pass the test and the effect gates
// column: control_significant integer? -- pairs of the copy that pass its own test
// column: empirical_fdr float? -- pairs of the copy that pass the real run's cut and gates, over the real ones
// column: n_edges integer -- edges on the backbone
// column: phi_cut float -- smallest phi on the backbone

MATCH (a:Atlas)
WHERE $atlas IS NULL OR a.uid = $atlas
RETURN a.uid AS atlas, a.control AS control, a.n_pairs_tested AS n_pairs_tested, a.n_significant AS n_significant,
       a.control_significant AS control_significant, a.empirical_fdr AS empirical_fdr, a.n_edges AS n_edges,
       a.phi_cut AS phi_cut
ORDER BY atlas
LIMIT $limit

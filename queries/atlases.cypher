// title: Atlases
// question: Which atlases does the database hold, and are they complete?
// group: housekeeping
// writes: no
// cost: under 0.1 s -- one node an atlas
// key: atlas
// parameter: atlas string? = null -- name of one atlas; null lists all
// parameter: limit integer = 50 -- most rows
// column: atlas string -- name of the atlas
// column: complete boolean -- whether its load and classification reached their end
// column: model string -- the language model
// column: sae_id string -- the SAE
// column: hook_name string -- where in the model the SAE reads
// column: n_tokens integer -- tokens kept
// column: n_alive integer -- alive features
// column: n_edges integer -- edges on the backbone
// column: created string -- when the firings were finished
// column: digest string -- sha256 over the manifests that it was loaded from

MATCH (a:Atlas)
WHERE $atlas IS NULL OR a.uid = $atlas
RETURN a.uid AS atlas, a.complete AS complete, a.model AS model, a.sae_id AS sae_id, a.hook_name AS hook_name,
       a.n_tokens AS n_tokens, a.n_alive AS n_alive, a.n_edges AS n_edges, a.created AS created,
       a.digest AS digest
ORDER BY atlas
LIMIT $limit

// title: Tokens with many features
// question: Which vocabulary items do the most features have among their strongest?
// group: tokens
// writes: no
// cost: under 1 s -- every feature's list of tokens is looked at
// key: token
// parameter: atlas string = only -- name of the atlas
// parameter: first boolean = false -- whether only features count whose strongest item it is
// parameter: min_features integer = 2 -- fewest features
// parameter: limit integer = 50 -- most rows
// column: token string -- the vocabulary item
// column: n_features integer -- features that have it among their top tokens
// column: features list<integer> -- their indices, the most frequent first, eight at most
// column: names list<string> -- their captions

MATCH (f:Feature {atlas: $atlas})
WITH f
ORDER BY f.firing_count DESC, f.index
UNWIND CASE WHEN $first THEN f.top_tokens[..1] ELSE f.top_tokens END AS token
WITH token, count(f) AS n_features, collect(f)[..8] AS most
WHERE n_features >= $min_features
RETURN token, n_features, [f IN most | f.index] AS features, [f IN most | f.name] AS names
ORDER BY n_features DESC, token
LIMIT $limit

// title: Dead and dense features
// question: Which features fire too rarely, or nearly everywhere, to be in any edge?
// group: quality
// writes: no
// cost: under 1 s -- the features of the two classes
// key: feature
// parameter: atlas string = only -- name of the atlas
// parameter: class string? in dead, dense = null -- `dead` or `dense`; null reads both
// parameter: limit integer = 50 -- most rows
// column: feature integer -- index of the feature
// column: name string -- its caption
// column: class string -- `dead` (fires too rarely to be tested) or `dense` (on more than a tenth of the tokens)
// column: firing_count integer -- tokens on which it fires
// column: density float -- share of the tokens on which it fires
// column: mean float -- mean activation where it fires
// column: top_tokens list<string> -- the items under its strongest firings

MATCH (f:Dead|Dense)
WHERE f.atlas = $atlas AND ($class IS NULL OR f.class = $class)
RETURN f.index AS feature, f.name AS name, f.class AS class, f.firing_count AS firing_count, f.density AS density,
       f.mean AS mean, f.top_tokens AS top_tokens
ORDER BY firing_count DESC, feature
LIMIT $limit

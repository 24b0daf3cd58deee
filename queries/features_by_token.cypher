// title: Features by token
// question: Which features fire on this token, or have it in their caption?
// group: tokens
// writes: no
// cost: under 0.1 s -- a full-text index, and the features' lists of tokens
// key: feature
// parameter: atlas string = only -- name of the atlas
// parameter: token string -- a word or phrase, or one vocabulary item exactly as listed (blanks count)
// parameter: limit integer = 50 -- most rows
// column: feature integer -- index of the feature
// column: name string -- its caption
// column: exact boolean -- whether the item itself is among its top tokens
// column: score float -- score of the full-text search; 0 where only the item itself was found
// column: firing_count integer -- tokens on which it fires
// column: top_tokens list<string> -- the items under its strongest firings

// The search language sees one phrase in quotation marks, so that no sign in the token is an operator.
// Of a long text it sees the beginning: a phrase of 200,000 words has ended a server for lack of memory.
CALL () {
  WITH '"' + replace(replace(left($token, 200), '\\', '\\\\'), '"', '\\"') + '"' AS phrase
  CALL db.index.fulltext.queryNodes('atlas_feature_text', phrase) YIELD node, score
  WHERE node.atlas = $atlas
  RETURN node AS f, score
  UNION ALL
  MATCH (f:Feature {atlas: $atlas})
  WHERE $token IN f.top_tokens
  RETURN f, 0.0 AS score
}
WITH f, max(score) AS score
RETURN f.index AS feature, f.name AS name, $token IN f.top_tokens AS exact, score,
       f.firing_count AS firing_count, f.top_tokens AS top_tokens
ORDER BY exact DESC, score DESC, feature
LIMIT $limit

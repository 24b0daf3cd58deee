// title: Communities by token
// question: Which communities are about this token?
// group: tokens
// writes: no
// cost: under 0.1 s -- a full-text index, and the communities' lists of tokens
// key: level, cluster
// parameter: atlas string = only -- name of the atlas
// parameter: token string -- a word or phrase, or one vocabulary item exactly as listed (blanks count)
// parameter: limit integer = 50 -- most rows
// column: level string -- level of the community
// column: cluster integer -- its number on that level
// column: name string -- its caption
// column: shape string -- its class
// column: size integer -- members
// column: exact boolean -- whether the item itself is among its top tokens
// column: score float -- score of the full-text search; 0 where only the item itself was found
// column: top_tokens list<string> -- the items under its members' strongest firings

// The search language sees one phrase in quotation marks, so that no sign in the token is an operator.
// Of a long text it sees the beginning: a phrase of 200,000 words has ended a server for lack of memory.
CALL () {
  WITH '"' + replace(replace(left($token, 200), '\\', '\\\\'), '"', '\\"') + '"' AS phrase
  CALL db.index.fulltext.queryNodes('atlas_cluster_text', phrase) YIELD node, score
  WHERE node.atlas = $atlas
  RETURN node AS c, score
  UNION ALL
  MATCH (c:Cluster {atlas: $atlas})
  WHERE $token IN c.top_tokens
  RETURN c, 0.0 AS score
}
WITH c, max(score) AS score
RETURN c.level AS level, c.cluster AS cluster, c.name AS name, c.shape AS shape, c.size AS size,
       $token IN c.top_tokens AS exact, score, c.top_tokens AS top_tokens
ORDER BY exact DESC, score DESC, level, cluster
LIMIT $limit

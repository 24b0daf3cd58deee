// title: Senses of a token
// question: Which features of one token exclude each other: one word, split by context?
// group: tokens
// writes: no
// cost: under 1 s -- every feature's list of tokens is looked at
// key: a, b
// parameter: atlas string = only -- name of the atlas
// parameter: token string -- one vocabulary item exactly as listed (blanks count)
// parameter: limit integer = 50 -- most rows
// column: a integer -- index of the feature with the lower index
// column: a_name string -- its caption
// column: b integer -- index of the feature with the higher index
// column: b_name string -- its caption
// column: joint_count integer -- tokens on which both fire
// column: expected float -- joint firings expected if independent within documents
// column: lift_d float -- joint firings over what their documents explain
// column: lift_t float? -- joint firings over what their tokens explain
// column: basis string -- what the tokens alone explain: `contextual` is two senses, `lexical` two words
// column: shared_hubs integer -- features that co-occur with both

MATCH (a:Feature {atlas: $atlas})
WHERE $token IN a.top_tokens
MATCH (a)-[r:EXCLUDES]->(b:Feature)
WHERE $token IN b.top_tokens
WITH a, r, b
ORDER BY r.lift_d, r.expected DESC, a.index, b.index
LIMIT $limit
RETURN a.index AS a, a.name AS a_name, b.index AS b, b.name AS b_name, r.joint_count AS joint_count,
       r.expected AS expected, r.lift_d AS lift_d, r.lift_t AS lift_t, r.basis AS basis,
       COUNT { (a)-[:CO_OCCURS]-(:Feature)-[:CO_OCCURS]-(b) } AS shared_hubs
ORDER BY lift_d, expected DESC, a, b
LIMIT $limit

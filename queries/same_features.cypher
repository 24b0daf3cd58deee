// title: Features that are the same
// question: Which features fire on nearly the same tokens, so that none is the other's parent?
// group: hierarchy
// writes: no
// cost: under 1 s -- every such pair is looked at
// key: a, b
// parameter: atlas string = only -- name of the atlas
// parameter: feature integer? = null -- index of a feature whose doubles are wanted; null reads all
// parameter: limit integer = 50 -- most rows
// column: a integer -- index of the feature with the lower index
// column: a_name string -- its caption
// column: b integer -- index of the feature with the higher index
// column: b_name string -- its caption
// column: p_a_given_b float -- share of b's firings on which a fires
// column: p_b_given_a float -- share of a's firings on which b fires
// column: lower_bound float -- Wilson's lower bound of the smaller share
// column: basis string -- what the tokens alone explain

MATCH (a:Feature {atlas: $atlas})-[r:SAME_AS]->(b:Feature)
WHERE $feature IS NULL OR $feature IN [a.index, b.index]
RETURN a.index AS a, a.name AS a_name, b.index AS b, b.name AS b_name, r.p_a_given_b AS p_a_given_b,
       r.p_b_given_a AS p_b_given_a, r.lower_bound AS lower_bound, r.basis AS basis
ORDER BY lower_bound DESC, a, b
LIMIT $limit

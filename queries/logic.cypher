// title: Logical combinations
// question: Which features fire like the AND, the XOR or the union of two others?
// group: explore
// writes: no
// cost: under 1 s -- the combinations
// key: kind, a, b, c
// parameter: atlas string = only -- name of the atlas
// parameter: kind string? in AND, XOR, OR = null -- the function; null reads all
// parameter: basis string? in contextual, lexical, untested = null -- whether it holds within vocabulary items
//    (`contextual`) or not (`lexical`); null reads all
// parameter: limit integer = 50 -- most rows
// column: kind string -- `AND`, `XOR`, or `OR` of inputs that exclude each other, which only looks like an XOR
// column: a integer -- index of one input
// column: a_name string -- its caption
// column: b integer -- index of the other
// column: b_name string -- its caption
// column: c integer -- index of the feature that combines them
// column: c_name string -- its caption
// column: joint_count integer -- tokens on which both inputs fire
// column: p_c_given_both float -- share of these on which it fires
// column: p_c_given_a_alone float -- share of the tokens with a and without b
// column: p_c_given_b_alone float -- share of those with b and without a
// column: information float -- bits that the function says of it
// column: information_apart float -- bits that the two inputs say of it, one by one
// column: basis string -- `contextual` where it holds within vocabulary items, too

MATCH (c:Feature {atlas: $atlas})-[r:COMBINES]->(a:Feature)
WHERE a.index = r.a AND ($kind IS NULL OR r.kind = $kind) AND ($basis IS NULL OR r.basis = $basis)
WITH c, r, a
ORDER BY r.information - r.information_apart DESC, r.kind, r.a, r.b, c.index
LIMIT $limit
MATCH (b:Feature {uid: $atlas + ':' + toString(r.b)})
RETURN r.kind AS kind, a.index AS a, a.name AS a_name, b.index AS b, b.name AS b_name, c.index AS c,
       c.name AS c_name, r.joint_count AS joint_count, r.p_c_given_both AS p_c_given_both,
       r.p_c_given_a_alone AS p_c_given_a_alone, r.p_c_given_b_alone AS p_c_given_b_alone,
       r.information AS information, r.information_apart AS information_apart, r.basis AS basis
ORDER BY information - information_apart DESC, kind, a, b, c
LIMIT $limit

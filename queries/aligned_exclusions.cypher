// title: Alike in direction, never together
// question: Which features point the same way in the decoder and yet exclude each other?
// group: geometry
// writes: no
// cost: over 1 s -- every edge's node is read: no relationship has the cosine
// key: a, b
// parameter: atlas string = only -- name of the atlas
// parameter: min_cosine float = 0.3 -- smallest cosine of the two decoder directions
// parameter: limit integer = 50 -- most rows
// column: a integer -- index of the feature with the lower index
// column: a_name string -- its caption
// column: b integer -- index of the feature with the higher index
// column: b_name string -- its caption
// column: decoder_cosine float -- cosine of the two decoder directions
// column: joint_count integer -- tokens on which both fire
// column: expected float -- joint firings expected if independent within documents
// column: lift_d float -- joint firings over what their documents explain
// column: basis string -- what the tokens alone explain

MATCH (e:Edge {atlas: $atlas})
WHERE e.phi >= -1 AND e.kind = 'EXCLUDES' AND e.decoder_cosine >= $min_cosine
WITH e
ORDER BY e.decoder_cosine DESC, e.a, e.b
LIMIT $limit
MATCH (f:Feature {uid: $atlas + ':' + toString(e.a)})
MATCH (g:Feature {uid: $atlas + ':' + toString(e.b)})
RETURN e.a AS a, f.name AS a_name, e.b AS b, g.name AS b_name, e.decoder_cosine AS decoder_cosine,
       e.joint_count AS joint_count, e.expected AS expected, e.lift_d AS lift_d, e.basis AS basis
ORDER BY decoder_cosine DESC, a, b
LIMIT $limit

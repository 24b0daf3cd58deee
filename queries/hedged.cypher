// title: Pairs that may hedge
// question: Which features may each have mixed in a part of the other, their encoders and decoders both being near?
// group: geometry
// writes: no
// cost: under 1 s -- every such pair is looked at
// key: a, b
// parameter: atlas string = only -- name of the atlas
// parameter: feature integer? = null -- index of a feature on either side; null reads all
// parameter: limit integer = 50 -- most rows
// column: a integer -- index of the one with the lower index
// column: a_name string -- its caption
// column: b integer -- index of the other
// column: b_name string -- its caption
// column: decoder_cosine float -- cosine of the two decoder directions
// column: encoder_cosine float -- cosine of the two encoder directions
// column: joint_count integer -- tokens on which both fire
// column: lift_d float? -- these over what their documents explain
// column: p_a_given_b float -- share of b's firings on which a fires
// column: p_b_given_a float -- share of a's firings on which b fires

MATCH (a:Feature {atlas: $atlas})-[r:HEDGES]->(b:Feature)
WHERE $feature IS NULL OR $feature IN [a.index, b.index]
RETURN a.index AS a, a.name AS a_name, b.index AS b, b.name AS b_name, r.decoder_cosine AS decoder_cosine,
       r.encoder_cosine AS encoder_cosine, r.joint_count AS joint_count, r.lift_d AS lift_d,
       r.p_a_given_b AS p_a_given_b, r.p_b_given_a AS p_b_given_a
ORDER BY CASE WHEN decoder_cosine < encoder_cosine THEN decoder_cosine ELSE encoder_cosine END DESC, a, b
LIMIT $limit

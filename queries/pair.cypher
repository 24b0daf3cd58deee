// title: Two features
// question: What is claimed of these two features, and on what evidence?
// group: explore
// writes: no
// cost: under 0.1 s -- the edges of two features
// key: kind
// parameter: atlas string = only -- name of the atlas
// parameter: feature integer -- index of one feature
// parameter: other integer -- index of the other
// column: kind string -- `CO_OCCURS`, `CO_TOPIC` or `EXCLUDES`
// column: basis string -- what the tokens alone explain
// column: joint_count integer -- tokens on which both fire
// column: expected float -- joint firings expected if independent within documents
// column: lift float -- joint firings over what chance over all tokens explains
// column: lift_d float -- joint firings over what their documents explain
// column: lift_t float? -- joint firings over what their tokens explain
// column: phi float -- correlation of the two firings
// column: phi_d float -- the same within documents
// column: q float -- adjusted p of the kind's test
// column: decoder_cosine float -- cosine of the two decoder directions
// column: explained_by integer? -- index of a third feature given which the two are as good as independent
// column: explained_by_name string? -- its caption

MATCH (:Feature {uid: $atlas + ':' + toString($feature)})-[:ENDPOINT_OF]->(e:Edge)
MATCH (e)<-[:ENDPOINT_OF]-(:Feature {uid: $atlas + ':' + toString($other)})
OPTIONAL MATCH (via:Feature {uid: $atlas + ':' + toString(e.explained_by)})
RETURN e.kind AS kind, e.basis AS basis, e.joint_count AS joint_count, e.expected AS expected, e.lift AS lift,
       e.lift_d AS lift_d, e.lift_t AS lift_t, e.phi AS phi, e.phi_d AS phi_d, e.q AS q,
       e.decoder_cosine AS decoder_cosine, e.explained_by AS explained_by, via.name AS explained_by_name
ORDER BY kind
LIMIT 10

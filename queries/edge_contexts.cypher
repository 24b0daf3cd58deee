// title: Where an edge was seen
// question: In which contexts do these two features fire together, those first where the weaker is strongest?
// group: explore
// writes: no
// cost: under 0.1 s -- the contexts of one edge
// key: context
// parameter: atlas string = only -- name of the atlas
// parameter: feature integer -- index of one feature
// parameter: other integer -- index of the other
// parameter: limit integer = 50 -- most rows
// column: context integer -- number of the context
// column: share float -- the smaller of the two activations, each over the largest of its feature
// column: activation float -- activation of the one feature on its token
// column: other_activation float -- activation of the other
// column: token string -- the token
// column: text string -- the text around it, the token between « and »
// column: document_name string -- name of its document
// column: position integer -- place of the token in the document

MATCH (f:Feature {uid: $atlas + ':' + toString($feature)})-[:ENDPOINT_OF]->(e:Edge {kind: 'CO_OCCURS'})
MATCH (e)<-[:ENDPOINT_OF]-(:Feature {uid: $atlas + ':' + toString($other)})
MATCH (e)-[r:SEEN_IN]->(c:Context)
RETURN c.context AS context, r.share AS share,
       CASE e.a WHEN f.index THEN r.activation_a ELSE r.activation_b END AS activation,
       CASE e.a WHEN f.index THEN r.activation_b ELSE r.activation_a END AS other_activation,
       c.tokens[c.place] AS token,
       reduce(text = '', at IN range(0, size(c.tokens) - 1) |
              text + CASE at WHEN c.place THEN '«' + c.tokens[at] + '»' ELSE c.tokens[at] END) AS text,
       c.document_name AS document_name, c.position AS position
ORDER BY share DESC, context
LIMIT $limit

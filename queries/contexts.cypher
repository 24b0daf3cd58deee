// title: Where a feature fires
// question: In which contexts does this feature fire, the strongest first?
// group: explore
// writes: no
// cost: under 0.1 s -- the contexts of one feature
// key: context
// parameter: atlas string = only -- name of the atlas
// parameter: feature integer -- index of the feature
// parameter: sample string? in strongest, uniform = null -- only the strongest, or only those drawn among all
// parameter: limit integer = 50 -- most rows
// column: context integer -- number of the context
// column: activation float -- activation of the feature on its token
// column: sample string -- `strongest`, `uniform` or `both`
// column: token string -- the token
// column: text string -- the text around it, the token between « and »
// column: document_name string -- name of its document
// column: position integer -- place of the token in the document
// column: activations list<float> -- activation of the feature on each token of the text

MATCH (:Feature {uid: $atlas + ':' + toString($feature)})-[r:FIRES_IN]->(c:Context)
WHERE $sample IS NULL OR r.sample IN [$sample, 'both']
WITH r, c
ORDER BY abs(r.activation) DESC, c.context
LIMIT $limit
RETURN c.context AS context, r.activation AS activation, r.sample AS sample, c.tokens[c.place] AS token,
       reduce(text = '', at IN range(0, size(c.tokens) - 1) |
              text + CASE at WHEN c.place THEN '«' + c.tokens[at] + '»' ELSE c.tokens[at] END) AS text,
       c.document_name AS document_name, c.position AS position, r.activations AS activations
ORDER BY abs(activation) DESC, context
LIMIT $limit

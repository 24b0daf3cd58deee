// title: Features of uncertainty
// question: Which features fire where the model is unsure of the next token, or the more strongly the less sure it is?
// group: explore
// writes: no
// cost: under 1 s -- every feature is looked at
// key: feature
// parameter: atlas string = only -- name of the atlas
// parameter: by string in difference, correlation = "difference" -- where it fires (`difference`), or how strongly
//     (`correlation`)
// parameter: max_q float = 0.05 -- largest q-value of that
// parameter: limit integer = 50 -- most rows
// column: feature integer -- index of the feature
// column: name string -- its caption
// column: firing_count integer -- tokens on which it fires
// column: entropy_difference float? -- mean entropy of the next token where it fires less that of other tokens, nats
// column: entropy_difference_q float? -- q-value of that
// column: entropy_correlation float? -- rank correlation of its activation with that entropy, over its firings
// column: entropy_correlation_q float? -- q-value of that
// column: top_tokens list<string> -- the items under its strongest firings

MATCH (f:Feature {atlas: $atlas})
WITH f, CASE $by WHEN 'difference' THEN f.entropy_difference ELSE f.entropy_correlation END AS size,
     CASE $by WHEN 'difference' THEN f.entropy_difference_q ELSE f.entropy_correlation_q END AS q
WHERE q <= $max_q AND size > 0
RETURN f.index AS feature, f.name AS name, f.firing_count AS firing_count,
       f.entropy_difference AS entropy_difference, f.entropy_difference_q AS entropy_difference_q,
       f.entropy_correlation AS entropy_correlation, f.entropy_correlation_q AS entropy_correlation_q,
       f.top_tokens AS top_tokens
ORDER BY CASE $by WHEN 'difference' THEN entropy_difference ELSE entropy_correlation END DESC, feature
LIMIT $limit

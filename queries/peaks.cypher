// title: Peaks of a feature
// question: At which strengths does this feature fire most, and what goes with each, on what evidence?
// group: explore
// writes: no
// cost: under 0.1 s -- one feature, and the neighbours that its peaks name
// key: peak
// parameter: atlas string = only -- name of the atlas
// parameter: feature integer -- index of the feature
// column: peak integer -- number of the peak, from the weakest on
// column: at float -- activation above the threshold at which the peak is highest
// column: share float -- share of the feature's activations between its valleys
// column: firings integer -- how many these are
// column: cause string -- what sets its firings apart: `token`, `neighbour`, `ring`, `uncertainty`, `tokens` or
//     `intrinsic`
// column: token string? -- the vocabulary item most typical of it
// column: token_share float? -- share of the peak's firings on that item
// column: token_share_outside float? -- share of the feature's other firings
// column: token_q float? -- adjusted p of the item
// column: neighbour integer? -- index of the feature that fires inside it far more than outside
// column: neighbour_name string? -- its caption
// column: relation string? -- what it is to the feature: `parent`, `child`, `same` or `co-occurs`
// column: neighbour_share float? -- share of the peak's firings on which it fires
// column: neighbour_share_outside float? -- share of the feature's other firings
// column: neighbour_q float? -- adjusted p of the neighbour
// column: manifold integer? -- number of the ring that feature and partners are on
// column: partner_share float? -- share of the peak's firings on which a partner on the ring fires
// column: partner_share_outside float? -- share of the feature's other firings
// column: partner_q float? -- adjusted p of the partners
// column: tokens_explained float? -- share of the variance of lying in the peak that the item predicts elsewhere
// column: entropy_difference float? -- the model's uncertainty inside the peak less that outside, in nats
// column: entropy_q float? -- adjusted p of that
// column: magnitude string? -- class of the feature: of an `unclear` one the dip says that one peak may be enough

MATCH (f:Feature {uid: $atlas + ':' + toString($feature)})-[:PEAKS_AT]->(p:Peak)
OPTIONAL MATCH (g:Feature {uid: $atlas + ':' + toString(p.neighbour)})
RETURN p.peak AS peak, p.at AS at, p.share AS share, p.firings AS firings, p.cause AS cause, p.token AS token,
       p.token_share AS token_share, p.token_share_outside AS token_share_outside, p.token_q AS token_q,
       g.index AS neighbour, g.name AS neighbour_name, p.relation AS relation, p.neighbour_share AS neighbour_share,
       p.neighbour_share_outside AS neighbour_share_outside, p.neighbour_q AS neighbour_q, p.manifold AS manifold,
       p.partner_share AS partner_share, p.partner_share_outside AS partner_share_outside, p.partner_q AS partner_q,
       p.tokens_explained AS tokens_explained, p.entropy_difference AS entropy_difference, p.entropy_q AS entropy_q,
       f.magnitude AS magnitude
ORDER BY peak
LIMIT 50

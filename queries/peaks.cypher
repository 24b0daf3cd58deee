// title: Peaks of a feature
// question: At which strengths does this feature fire most, and what goes with each?
// group: explore
// writes: no
// cost: under 0.1 s -- one feature, and the neighbours that its peaks name
// key: peak
// parameter: atlas string = only -- name of the atlas
// parameter: feature integer -- index of the feature
// column: peak integer -- number of the peak, from the weakest on
// column: at float -- activation above the threshold at which the peak is highest
// column: share float -- share of the feature's activations between its valleys
// column: cause string -- what sets its firings apart: `token`, `neighbour`, `ring`, `uncertainty`, `tokens` or
//     `intrinsic`
// column: token string -- the vocabulary item most typical of it
// column: neighbour integer? -- index of the feature that fires inside it far more than outside
// column: neighbour_name string? -- its caption
// column: magnitude string -- class of the feature: of an `unclear` one the dip says that one peak may be enough

MATCH (f:Feature {uid: $atlas + ':' + toString($feature)})
UNWIND range(0, size(coalesce(f.peak_places, [])) - 1) AS peak
OPTIONAL MATCH (g:Feature {uid: $atlas + ':' + toString(f.peak_neighbours[peak])})
RETURN peak, f.peak_places[peak] AS at, f.peak_shares[peak] AS share, f.peak_causes[peak] AS cause,
       f.peak_tokens[peak] AS token, g.index AS neighbour, g.name AS neighbour_name, f.magnitude AS magnitude
ORDER BY peak
LIMIT 50

// title: Features with several peaks
// question: Which features fire at two or more strengths, and what decides between them?
// group: explore
// writes: no
// cost: under 1 s -- every feature is looked at
// key: feature
// parameter: atlas string = only -- name of the atlas
// parameter: cause string? in token, neighbour, ring, uncertainty, tokens, intrinsic = null -- cause of one of the
//     peaks; `intrinsic` reads features of which no peak has another; null reads all
// parameter: limit integer = 50 -- most rows
// column: feature integer -- index of the feature
// column: name string -- its caption
// column: firing_count integer -- tokens on which it fires
// column: dip_q float -- q-value of Hartigan's dip over all features
// column: peak_places list<float> -- activation above the threshold at each peak
// column: peak_shares list<float> -- share of the activations of each
// column: peak_causes list<string> -- what sets the firings of each apart
// column: peak_tokens list<string> -- the vocabulary item most typical of each
// column: peak_neighbours list<integer> -- the neighbour most typical of each, -1 where there is none

MATCH (f:Feature {atlas: $atlas})
WHERE f.magnitude = 'multi-peak' AND
      ($cause IS NULL OR
       CASE $cause
         WHEN 'intrinsic' THEN all(one IN f.peak_causes WHERE one = 'intrinsic')
         ELSE $cause IN f.peak_causes
       END)
WITH f
ORDER BY f.firing_count DESC, f.index
LIMIT $limit
WITH f, COLLECT { MATCH (f)-[:PEAKS_AT]->(p:Peak) RETURN p ORDER BY p.peak } AS peaks
RETURN f.index AS feature, f.name AS name, f.firing_count AS firing_count, f.dip_q AS dip_q,
       [p IN peaks | p.at] AS peak_places, [p IN peaks | p.share] AS peak_shares, f.peak_causes AS peak_causes,
       [p IN peaks | coalesce(p.token, '')] AS peak_tokens,
       [p IN peaks | coalesce(p.neighbour, -1)] AS peak_neighbours
ORDER BY firing_count DESC, feature
LIMIT $limit

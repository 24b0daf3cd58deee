// title: What raises and lowers a feature
// question: Where a neighbour fires, too, is this feature's activation larger or smaller than elsewhere on that word?
// group: explore
// writes: no
// cost: under 0.1 s -- the edges of one feature
// key: neighbour
// parameter: atlas string = only -- name of the atlas
// parameter: feature integer -- index of the feature
// parameter: limit integer = 50 -- most rows
// column: neighbour integer -- index of the neighbour on the backbone
// column: name string -- its caption
// column: shift float? -- mean activation of the feature where the neighbour fires, less that elsewhere, within
//     vocabulary items, in standard deviations; absent where it is not significant
// column: shift_of_neighbour float? -- the same of the neighbour where the feature fires
// column: phi float -- phi of the edge
// column: basis string -- what the tokens alone explain

MATCH (f:Feature {uid: $atlas + ':' + toString($feature)})-[:ENDPOINT_OF]->(e:Edge)<-[:ENDPOINT_OF]-(g:Feature)
WHERE e.shift_a IS NOT NULL OR e.shift_b IS NOT NULL
RETURN g.index AS neighbour, g.name AS name, CASE f.index WHEN e.a THEN e.shift_a ELSE e.shift_b END AS shift,
       CASE f.index WHEN e.a THEN e.shift_b ELSE e.shift_a END AS shift_of_neighbour, e.phi AS phi, e.basis AS basis
ORDER BY abs(coalesce(shift, 0.0)) DESC, abs(coalesce(shift_of_neighbour, 0.0)) DESC, neighbour
LIMIT $limit

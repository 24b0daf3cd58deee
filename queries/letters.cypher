// title: First letters
// question: Which feature reads the first letter of words, how well, and which words have lost it to which features?
// group: geometry
// writes: no
// cost: under 0.1 s -- 26 letters at most, each with the words that lack its feature
// key: letter
// parameter: atlas string = only -- name of the atlas
// parameter: claimed boolean = true -- whether only letters count whose feature is good enough (F1 over items .4 or
//     more)
// parameter: words integer = 20 -- most words of a letter
// column: letter string -- the first letter
// column: feature integer -- index of the feature that reads it best
// column: name string -- its caption
// column: split list<integer> -- further features of the letter
// column: recall float -- mean over the letter's items of the share of tokens on which the feature fires
// column: precision float -- part of these shares, summed over all words, that is the letter's
// column: n_items integer -- vocabulary items that begin with the letter
// column: n_missing integer? -- of these, items on which its features are nearly always silent
// column: n_absorbed integer? -- missing items whose letter another feature has taken
// column: control_letters float? -- share of missing items that the same rule gives to a wrong letter's feature
// column: control_features float? -- the same of random features of like rarity
// column: words_absorbed list<string> -- these items, each with the feature that has taken the letter there

MATCH (f:Feature)-[:SPELLS]->(l:Letter {atlas: $atlas})
WHERE NOT $claimed OR l.n_missing IS NOT NULL
WITH f, l,
  COLLECT { MATCH (l)<-[r:STANDS_IN]-(g:Feature) WHERE r.absorbed
            RETURN '«' + r.text + '» ' + toString(g.index) + ' ' + g.name
            ORDER BY r.contribution DESC, r.token_id LIMIT $words } AS words_absorbed
RETURN l.letter AS letter, f.index AS feature, f.name AS name, l.split AS split, l.recall AS recall,
       l.precision AS precision, l.n_items AS n_items, l.n_missing AS n_missing, l.n_absorbed AS n_absorbed,
       l.control_letters AS control_letters, l.control_features AS control_features, words_absorbed
ORDER BY letter
LIMIT 26

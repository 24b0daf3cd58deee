// title: Communities and decoder directions
// question: Do features that fire together also write similar directions, more than directions at random would?
// group: geometry
// writes: no
// cost: under 0.1 s -- one node
// key: level
// parameter: atlas string = only -- name of the atlas
// parameter: limit integer = 50 -- most rows
// column: level string -- `coarse`, `middle` or `fine`
// column: resolution float? -- gamma that the level was cut at
// column: decoder_compared integer? -- features whose directions were compared
// column: decoder_ami float -- adjusted mutual information of the communities with the tree of decoder directions, cut
//    into as many parts: 1 the same, 0 chance
// column: decoder_ami_null float -- the highest of 20 trees of random directions of the same mean and covariance
// column: excess float -- decoder_ami less that highest
// column: decoder_p float? -- share of these trees that reach decoder_ami, the real one counted in
// column: meaning string -- what it says: `more than chance` where none of the 20 reaches it, else `no more than chance`

// Both say how far, and not which comes from which: the directions, or the firings.
MATCH (a:Atlas {uid: $atlas})
WHERE size(a.decoder_ami) > 0
UNWIND range(0, size(a.decoder_ami) - 1) AS place
WITH a, place, a.decoder_ami[place] AS ami, a.decoder_ami_null[place] AS highest
RETURN ['coarse', 'middle', 'fine'][place] AS level, a.resolutions[place] AS resolution,
       a.decoder_compared AS decoder_compared, ami AS decoder_ami, highest AS decoder_ami_null,
       ami - highest AS excess, a.decoder_p[place] AS decoder_p,
       CASE WHEN ami > highest THEN 'more than chance' ELSE 'no more than chance' END AS meaning
ORDER BY place, level
LIMIT $limit

// title: Words without their first letter
// question: On which words is the letter's feature silent, and which feature stands in for it there?
// group: geometry
// writes: no
// cost: under 0.1 s -- the words on which a letter's feature is silent
// key: letter, token_id
// parameter: atlas string = only -- name of the atlas
// parameter: letter string? = null -- first letter, in lower case; null reads all
// parameter: absorbed boolean? = null -- only words whose letter was taken (true), or was not (false); null reads all
// parameter: feature integer? = null -- index of the feature that stands in; null reads all
// parameter: limit integer = 50 -- most rows
// column: letter string -- first letter
// column: token_id integer -- the vocabulary item
// column: text string -- its text
// column: n_tokens integer -- tokens of the item
// column: letter_feature integer -- index of the letter's feature
// column: letter_share float -- share of the item's tokens on which the letter's features fire
// column: feature integer -- index of the feature that brings most along the direction of the letter's feature
// column: name string -- its caption
// column: feature_share float -- share of the silent tokens on which it fires
// column: decoder_cosine float -- cosine of the two decoder directions
// column: contribution float -- what it brings, over what the letter's feature usually has
// column: p float -- share of other features along whose directions as much is brought there
// column: q float -- adjusted over all such words
// column: absorbed boolean -- contribution .5 or more, and p .05 or less

MATCH (f:Feature)-[r:STANDS_IN]->(l:Letter {atlas: $atlas})
WHERE ($letter IS NULL OR l.letter = $letter) AND ($absorbed IS NULL OR r.absorbed = $absorbed) AND
      ($feature IS NULL OR f.index = $feature)
RETURN l.letter AS letter, r.token_id AS token_id, r.text AS text, r.n_tokens AS n_tokens, l.index AS letter_feature,
       r.letter_share AS letter_share, f.index AS feature, f.name AS name, r.absorbing_share AS feature_share,
       r.decoder_cosine AS decoder_cosine, r.contribution AS contribution, r.p AS p, r.q AS q, r.absorbed AS absorbed
ORDER BY contribution DESC, letter, token_id
LIMIT $limit

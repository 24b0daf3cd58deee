// title: Features like this one
// question: Which features point most nearly the same way in the decoder, and do they fire together with this one?
// group: geometry
// writes: no
// cost: under 1 s -- an approximate index, and the exact cosine of what it finds; none where an atlas has no directions
// key: other
// parameter: atlas string = only -- name of the atlas
// parameter: feature integer -- index of the feature
// parameter: limit integer = 20 -- most rows
// column: other integer -- index of the other feature
// column: name string -- its caption
// column: decoder_cosine float -- cosine of the two decoder directions
// column: kinds list<string> -- kinds of the edges and pairs between the two
// column: phi float? -- correlation of the two firings, where they co-occur on the backbone
// column: same_cluster boolean -- whether both are in one community of the fine level
// column: firing_count integer -- tokens on which the other fires

// The index is approximate and holds all atlases of the database: it is asked for more than is shown.
CYPHER 5
MATCH (a:Atlas)
WITH (100 + 2 * $limit) * count(a) AS asked
MATCH (f:Feature {uid: $atlas + ':' + toString($feature)})
WHERE f.decoder_direction IS NOT NULL
CALL db.index.vector.queryNodes('atlas_feature_decoder_direction', asked, f.decoder_direction) YIELD node AS g
WHERE g.atlas = f.atlas AND g <> f
OPTIONAL MATCH (f)-[tie:CO_OCCURS|CO_TOPIC|EXCLUDES|PARENT_OF|SAME_AS]-(g)
WITH f, g, tie
ORDER BY type(tie)
WITH f, g, collect(type(tie)) AS kinds, max(CASE WHEN type(tie) = 'CO_OCCURS' THEN tie.phi END) AS phi
RETURN g.index AS other, g.name AS name,
       2 * vector.similarity.cosine(f.decoder_direction, g.decoder_direction) - 1 AS decoder_cosine, kinds, phi,
       EXISTS { (f)-[:IN_CLUSTER]->(:Cluster {level: 'fine'})<-[:IN_CLUSTER]-(g) } AS same_cluster,
       g.firing_count AS firing_count
ORDER BY decoder_cosine DESC, other
LIMIT $limit

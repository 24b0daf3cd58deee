// title: Tokens of a community
// question: Which vocabulary items do the members of this community have in common?
// group: tokens
// writes: no
// cost: under 0.1 s -- the members' lists of tokens
// key: token
// parameter: atlas string = only -- name of the atlas
// parameter: level string in coarse, middle, fine = "fine" -- level of the community
// parameter: cluster integer -- number of the community on that level
// parameter: limit integer = 50 -- most rows
// column: token string -- the vocabulary item
// column: n_members integer -- members that have it among their top tokens
// column: share float -- share of the members
// column: members list<string> -- captions of these members, the most frequent first, eight at most

MATCH (f:Feature)-[:IN_CLUSTER]->(c:Cluster {uid: $atlas + ':' + $level + ':' + toString($cluster)})
WITH c, f
ORDER BY f.firing_count DESC, f.index
UNWIND f.top_tokens AS token
WITH c, token, count(f) AS n_members, collect(f.name)[..8] AS members
RETURN token, n_members, toFloat(n_members) / c.size AS share, members
ORDER BY n_members DESC, token
LIMIT $limit

// title: Path between two features
// question: By which chain of features that fire together are these two connected?
// group: explore
// writes: no
// graph: yes
// cost: under 1 s -- a breadth-first search, and every shortest path
// key: features
// parameter: atlas string = only -- name of the atlas
// parameter: from integer -- index of the first feature
// parameter: to integer -- index of the last feature
// parameter: limit integer = 1 -- most paths, all of them shortest ones; twenty at most are found
// column: length integer -- edges of the path
// column: weakest float -- smallest phi on the path; of the shortest paths, the best in this comes first
// column: features list<integer> -- indices along the path
// column: names list<string> -- captions along the path
// column: path path -- the path

MATCH (a:Feature {uid: $atlas + ':' + toString($from)})
MATCH (b:Feature {uid: $atlas + ':' + toString($to)})
WHERE a <> b
MATCH path = ALL SHORTEST (a)-[:CO_OCCURS]-{1,12}(b)
WITH path, reduce(least = 1.0, r IN relationships(path) | CASE WHEN r.phi < least THEN r.phi ELSE least END) AS weakest,
     [f IN nodes(path) | f.index] AS features
ORDER BY weakest DESC, features
LIMIT 20
RETURN length(path) AS length, weakest, features, [f IN nodes(path) | f.name] AS names, path
ORDER BY weakest DESC, features
LIMIT $limit

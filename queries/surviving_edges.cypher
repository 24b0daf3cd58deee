// title: Edges that are there again in another atlas
// question: Of the edges between features that are matched, how many has the other atlas between their matches?
// group: compare
// writes: no
// cost: over 1 s -- every edge between matched features is looked at
// key: kind, basis
// parameter: atlas string = only -- name of the atlas that `atlas compare` was given first
// parameter: other_atlas string -- name of the other
// column: kind string -- type of relationship
// column: basis string -- what the tokens alone explain
// column: matched integer -- edges of the one whose two features are matched
// column: survives integer -- of these, edges of the same type between the matches
// column: share float -- survives over matched

// Only the backbone is in the graph; `atlas compare` sets the same by chance beside it.
MATCH (f:Feature {atlas: $atlas})-[e:CO_OCCURS|EXCLUDES|PARENT_OF]->(g:Feature)
MATCH (f)-[m:MATCHES]->(p:Feature {atlas: $other_atlas})
WHERE m.by <> 'decoder' OR NOT EXISTS { (f)-[o:MATCHES]->(:Feature {atlas: $other_atlas}) WHERE o.by <> 'decoder' }
MATCH (g)-[n:MATCHES]->(q:Feature {atlas: $other_atlas})
WHERE n.by <> 'decoder' OR NOT EXISTS { (g)-[o:MATCHES]->(:Feature {atlas: $other_atlas}) WHERE o.by <> 'decoder' }
WITH type(e) AS kind, coalesce(e.basis, 'none') AS basis, e, p, q
WITH kind, basis, CASE kind
       WHEN 'CO_OCCURS' THEN EXISTS { (p)-[:CO_OCCURS]-(q) }
       WHEN 'EXCLUDES' THEN EXISTS { (p)-[:EXCLUDES]-(q) }
       ELSE EXISTS { (p)-[:PARENT_OF]->(q) } END AS again
WITH kind, basis, count(*) AS matched, sum(CASE WHEN again THEN 1 ELSE 0 END) AS survives
RETURN kind, basis, matched, survives, toFloat(survives) / matched AS share
ORDER BY kind, basis
LIMIT 100

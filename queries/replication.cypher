// title: What holds again in two halves of the documents
// question: Of each kind of claim, how many hold in both halves of the documents, in one, in neither?
// group: quality
// writes: no
// cost: over 1 s -- every edge, membership and subgraph is looked at
// key: claim, kind
// parameter: atlas string = only -- name of the atlas
// column: claim string -- `edges`, `parents`, `members`, `communities`, `classes of communities` or `classes of egos`
// column: kind string -- type of relationship, level or class
// column: claims integer -- claims in the graph
// column: tested integer -- of these, those that both halves have enough firings for
// column: both integer -- of the tested, those that hold again in both halves
// column: one integer -- in one
// column: neither integer -- in neither
// column: share float? -- both over tested

// Edges are those of the backbone; `atlas ingest replication` counts all that are significant, and classes by chance.
CALL () {
  MATCH (e:Edge {atlas: $atlas})
  RETURN 1 AS place, 'edges' AS claim, e.kind AS kind, e.halves AS halves, count(*) AS n
  UNION ALL
  MATCH (f:Feature {atlas: $atlas})-[r:PARENT_OF|SAME_AS]->(:Feature)
  RETURN 2 AS place, 'parents' AS claim, type(r) AS kind, r.halves AS halves, count(*) AS n
  UNION ALL
  MATCH (c:Cluster {atlas: $atlas})<-[r:IN_CLUSTER]-(:Feature)
  RETURN 3 AS place, 'members' AS claim, c.level AS kind, r.halves AS halves, count(*) AS n
  UNION ALL
  MATCH (c:Cluster {atlas: $atlas})
  RETURN 4 AS place, 'communities' AS claim, c.level AS kind, c.halves AS halves, count(*) AS n
  UNION ALL
  MATCH (c:Cluster {atlas: $atlas})
  WHERE c.shape IS NOT NULL
  RETURN 5 AS place, 'classes of communities' AS claim, c.shape AS kind, c.shape_halves AS halves, count(*) AS n
  UNION ALL
  MATCH (f:Feature {atlas: $atlas})
  WHERE f.ego_shape IS NOT NULL
  RETURN 6 AS place, 'classes of egos' AS claim, f.ego_shape AS kind, f.ego_halves AS halves, count(*) AS n
}
WITH place, claim, kind, sum(n) AS claims, sum(CASE WHEN halves IS NULL THEN 0 ELSE n END) AS tested,
     sum(CASE halves WHEN 2 THEN n ELSE 0 END) AS both, sum(CASE halves WHEN 1 THEN n ELSE 0 END) AS one,
     sum(CASE halves WHEN 0 THEN n ELSE 0 END) AS neither
RETURN claim, kind, claims, tested, both, one, neither,
       CASE WHEN tested > 0 THEN toFloat(both) / tested END AS share
ORDER BY place, claim, kind
LIMIT 100

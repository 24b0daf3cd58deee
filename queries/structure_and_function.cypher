// title: Shape against verdict
// question: How much does the shape of a subgraph say of what its features do?
// group: shape
// writes: no
// cost: under 1 s -- every community and every feature with leaves is looked at
// key: subgraph, shape
// parameter: atlas string = only -- name of the atlas
// parameter: unseen boolean = true -- whether the shape is that of the documents that the verdict has not seen
// column: subgraph string -- level of the communities, or `ego`
// column: shape string -- the class
// column: composition integer -- subgraphs of the class that behave like parts
// column: ambiguity integer -- like rival readings
// column: neither integer -- like neither
// column: undetermined integer -- too few firings, or evidence that disagrees
// column: composition_share float? -- composition over the first three
// column: subgraph_share float? -- the same of all shapes of that kind of subgraph: what it would be by chance

// The association with its permuted control is in the table `agreement` of 56-behaviour.
CALL () {
  MATCH (c:Cluster {atlas: $atlas})
  WHERE c.verdict IS NOT NULL
  RETURN c.level AS subgraph, CASE WHEN $unseen THEN c.half_shape ELSE c.shape END AS shape, c.verdict AS verdict
  UNION ALL
  MATCH (f:Feature {atlas: $atlas})
  WHERE f.ego_verdict IS NOT NULL
  RETURN 'ego' AS subgraph, CASE WHEN $unseen THEN f.ego_half_shape ELSE f.ego_shape END AS shape,
         f.ego_verdict AS verdict
}
WITH subgraph, shape, verdict
WHERE shape IS NOT NULL
WITH subgraph, shape, sum(CASE verdict WHEN 'composition' THEN 1 ELSE 0 END) AS composition,
     sum(CASE verdict WHEN 'ambiguity' THEN 1 ELSE 0 END) AS ambiguity,
     sum(CASE verdict WHEN 'neither' THEN 1 ELSE 0 END) AS neither,
     sum(CASE verdict WHEN 'undetermined' THEN 1 ELSE 0 END) AS undetermined
WITH subgraph, collect({shape: shape, composition: composition, ambiguity: ambiguity, neither: neither,
                        undetermined: undetermined}) AS rows,
     sum(composition) AS all_composition, sum(composition + ambiguity + neither) AS all_decided
UNWIND rows AS row
WITH subgraph, row.shape AS shape, row.composition AS composition, row.ambiguity AS ambiguity,
     row.neither AS neither, row.undetermined AS undetermined, all_composition, all_decided,
     row.composition + row.ambiguity + row.neither AS decided
RETURN subgraph, shape, composition, ambiguity, neither, undetermined,
       CASE WHEN decided > 0 THEN toFloat(composition) / decided END AS composition_share,
       CASE WHEN all_decided > 0 THEN toFloat(all_composition) / all_decided END AS subgraph_share
ORDER BY subgraph, shape
LIMIT 100

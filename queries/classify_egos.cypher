// title: Classify ego subgraphs
// question: Under each feature, do its rarer neighbours (the leaves) exclude each other or fire together? Run again
//    with other thresholds, it replaces every class and label, and `:Atlas` keeps the thresholds.
// group: classify
// writes: yes
// key: shape
// parameter: atlas string = only -- name of the atlas
// parameter: min_leaves integer = 4 -- leaves from which an ego subgraph has a class
// parameter: min_testable integer = 3 -- testable pairs of leaves that hub-spoke and joint need
// parameter: min_cover float = 0.5 -- share of the leaves that these pairs must cover
// parameter: min_depleted float = 0.5 -- share of the testable pairs that must be exclusive for hub-spoke
// parameter: min_enriched float = 0.8 -- share of the testable pairs that must be joint for joint
// column: shape string -- the class
// column: count integer -- features whose ego subgraph is of that class

// Until the end the atlas says no thresholds: what is interrupted leaves ego subgraphs of both.
MATCH (a:Atlas {uid: $atlas})
CALL (a) {
  REMOVE a.ego_min_leaves, a.ego_min_testable, a.ego_min_cover, a.ego_min_depleted, a.ego_min_enriched
} IN TRANSACTIONS OF 1 ROW
WITH count(*) AS atlases
MATCH (h:Feature {atlas: $atlas})
// Some features a transaction: a large atlas needs no more memory than a small one. Each is written by itself alone, so
// that no transaction waits for another.
CALL (h) {
  CALL (h) {
    // A leaf fires on fewer tokens than the hub; of two that fire as often, the higher index is the leaf.
    MATCH (h)-[:CO_OCCURS]-(leaf:Feature)
    WHERE leaf.firing_count < h.firing_count
       OR (leaf.firing_count = h.firing_count AND leaf.index > h.index)
    RETURN collect(leaf) AS rarer
  }
  CALL (rarer) {
    UNWIND rarer AS x
    MATCH (x)-[:CO_OCCURS]->(y:Feature)
    WHERE y IN rarer
    RETURN count(*) AS links
  }
  WITH h, links, size(rarer) AS leaves
  WITH h, leaves,
       CASE WHEN leaves < 2 THEN null ELSE 2.0 * links / (leaves * (leaves - 1)) END AS leaf_density,
       coalesce(h.ego_testable_pairs, 0) >= $min_testable
         AND h.ego_covered_leaves >= $min_cover * leaves AS covered
  WITH h, leaves, leaf_density,
       CASE
         WHEN leaves < $min_leaves THEN null
         WHEN covered AND h.ego_depleted_pairs >= $min_depleted * h.ego_testable_pairs
          AND h.ego_depleted_pairs > h.ego_enriched_pairs THEN 'hub-spoke'
         WHEN covered AND h.ego_enriched_pairs >= $min_enriched * h.ego_testable_pairs THEN 'joint'
         ELSE 'mixed'
       END AS shape
  SET h.ego_size = leaves, h.leaf_density = leaf_density, h.ego_shape = shape
  REMOVE h:EgoHubSpoke:EgoJoint:EgoMixed
  FOREACH (_ IN CASE WHEN shape = 'hub-spoke' THEN [1] ELSE [] END | SET h:EgoHubSpoke)
  FOREACH (_ IN CASE WHEN shape = 'joint' THEN [1] ELSE [] END | SET h:EgoJoint)
  FOREACH (_ IN CASE WHEN shape = 'mixed' THEN [1] ELSE [] END | SET h:EgoMixed)
  RETURN shape
} IN CONCURRENT TRANSACTIONS OF 1000 ROWS
WITH shape, count(*) AS count
WITH collect({shape: shape, count: count}) AS classes
MATCH (a:Atlas {uid: $atlas})
SET a.ego_min_leaves = $min_leaves, a.ego_min_testable = $min_testable, a.ego_min_cover = $min_cover,
    a.ego_min_depleted = $min_depleted, a.ego_min_enriched = $min_enriched
WITH classes
UNWIND classes AS class
WITH class
WHERE class.shape IS NOT NULL
RETURN class.shape AS shape, class.count AS count
ORDER BY shape
LIMIT 100

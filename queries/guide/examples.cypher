// Features and communities of an atlas that are worth a first look; null where it has none.
CALL () {
  OPTIONAL MATCH (h:Feature:EgoHubSpoke {atlas: $atlas})
  WHERE h.ego_size <= 12
  CALL (h) {
    MATCH (h)-[r:CO_OCCURS]-(leaf:Feature)
    WHERE leaf.firing_count < h.firing_count
       OR (leaf.firing_count = h.firing_count AND leaf.index > h.index)
    WITH leaf ORDER BY r.phi DESC, leaf.index
    RETURN collect(leaf.index) AS leaves, count(DISTINCT leaf.name) AS captions
  }
  RETURN h, leaves
  ORDER BY coalesce(h.ego_halves, 0) DESC, captions DESC, h.index
  LIMIT 1
}
CALL () {
  MATCH (h:Feature {atlas: $atlas})
  WHERE h.ego_size > 1
  WITH h ORDER BY h:EgoHubSpoke DESC, h.ego_size DESC, h.index LIMIT 200
  MATCH (h)-[:CO_OCCURS]-(a:Feature)-[:EXCLUDES]->(b:Feature)-[:CO_OCCURS]-(h)
  WHERE a.firing_count < h.firing_count AND b.firing_count < h.firing_count
  WITH h, 1.0 * count(*) / h.ego_size ^ 2 AS share
  ORDER BY h:EgoHubSpoke DESC, share DESC, h.index LIMIT 1
  RETURN collect(h.index)[0] AS over
}
CALL () {
  OPTIONAL MATCH (p:Feature {atlas: $atlas, n_parents: 0})-[:PARENT_OF]->(child:Feature)
  WITH p, min(child.index) AS child
  OPTIONAL MATCH (p)-[:PARENT_OF]->{1,12}(under:Feature)
  WITH p, child, count(DISTINCT under) AS descendants, count(DISTINCT under.name) AS captions
  RETURN p.index AS parent, child
  ORDER BY p IS NULL, descendants <= 20 DESC, captions DESC, parent
  LIMIT 1
}
CALL () {
  OPTIONAL MATCH (c:Cluster:FullyConnected {atlas: $atlas, level: 'fine'})
  RETURN c.cluster AS clique
  ORDER BY c.size >= 5 AND c.size <= 8 DESC, c.stable_cuts DESC, c.size DESC, clique
  LIMIT 1
}
CALL () {
  OPTIONAL MATCH (c:Cluster {atlas: $atlas, level: 'coarse'})
  OPTIONAL MATCH (c)<-[:PART_OF]-{1,2}(part:Cluster)
  WITH c, count(DISTINCT part) AS parts, count(DISTINCT part.shape) AS shapes
  RETURN c.cluster AS community
  ORDER BY c IS NULL, parts <= 15 DESC, shapes DESC, parts DESC, community
  LIMIT 1
}
CALL () {
  OPTIONAL MATCH (f:Feature {atlas: $atlas})-[r:CO_TOPIC]-(:Feature)
  RETURN f.index AS topic
  ORDER BY r.phi DESC, topic
  LIMIT 1
}
RETURN h.index AS hub, h.top_tokens[0] AS token, leaves[0] AS leaf, leaves[-1] AS last_leaf, over, parent, child,
       clique, community, topic

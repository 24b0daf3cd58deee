// title: Summary of an atlas
// question: What is this atlas of, how large is it, and what does its own null say?
// group: housekeeping
// writes: no
// cost: under 1 s -- every feature is looked at
// key: atlas
// parameter: atlas string = only -- name of the atlas
// column: atlas string -- name of the atlas
// column: complete boolean -- whether its load and classification reached their end
// column: model string -- the language model
// column: release string? -- the SAE's release, where it has one
// column: sae_id string -- the SAE
// column: hook_name string -- where in the model the SAE reads
// column: corpus string -- the text that was run
// column: n_tokens integer -- tokens kept
// column: n_documents integer -- documents read
// column: firing_rule string -- when a feature counts as firing
// column: d_sae integer -- features of the SAE
// column: n_alive integer -- alive features
// column: n_dead integer -- those that fire too rarely to be tested
// column: n_dense integer -- those that fire on more than a tenth of the tokens
// column: n_unconnected integer -- alive features without an edge on the backbone
// column: n_edges integer -- CO_OCCURS edges on the backbone
// column: n_topics integer -- CO_TOPIC edges
// column: n_exclusions integer -- EXCLUDES edges
// column: n_parents integer -- direct pairs of parent and child
// column: n_clusters list<integer> -- communities of the coarse, the middle and the fine level
// column: resolutions list<float>? -- gamma of each level
// column: level_stability list<float>? -- mean agreement over 20 seeds, by level
// column: decoder_ami list<float>? -- agreement of each level with the tree of decoder directions
// column: control string? -- the null that the run was repeated on
// column: control_significant integer? -- pairs of that copy that pass its own test
// column: empirical_fdr float? -- pairs of that copy that pass the real run's cut, over the real ones
// column: created string -- when the firings were finished

MATCH (a:Atlas {uid: $atlas})
CALL (a) {
  MATCH (f:Feature {atlas: a.uid})
  RETURN sum(CASE WHEN f.class = 'dead' THEN 1 ELSE 0 END) AS n_dead,
         sum(CASE WHEN f.class = 'dense' THEN 1 ELSE 0 END) AS n_dense,
         sum(CASE WHEN f.class = 'alive' AND COUNT { (f)-[:CO_OCCURS]-() } = 0 THEN 1 ELSE 0 END) AS n_unconnected,
         sum(COUNT { (f)-[:CO_TOPIC]->() }) AS n_topics, sum(COUNT { (f)-[:EXCLUDES]->() }) AS n_exclusions,
         sum(COUNT { (f)-[:PARENT_OF]->() }) AS n_parents
}
CALL (a) {
  UNWIND ['coarse', 'middle', 'fine'] AS level
  RETURN collect(COUNT { (:Cluster {atlas: a.uid, level: level}) }) AS n_clusters
}
RETURN a.uid AS atlas, a.complete AS complete, a.model AS model, a.release AS release, a.sae_id AS sae_id,
       a.hook_name AS hook_name, a.corpus AS corpus, a.n_tokens AS n_tokens, a.n_documents AS n_documents,
       a.firing_rule AS firing_rule, a.d_sae AS d_sae, a.n_alive AS n_alive, n_dead, n_dense, n_unconnected,
       a.n_edges AS n_edges, n_topics, n_exclusions, n_parents, n_clusters, a.resolutions AS resolutions,
       a.level_stability AS level_stability, a.decoder_ami AS decoder_ami, a.control AS control,
       a.control_significant AS control_significant, a.empirical_fdr AS empirical_fdr, a.created AS created
ORDER BY atlas
LIMIT 1

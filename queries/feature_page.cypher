// title: Everything about one feature
// question: What does the atlas know of this feature, in all its parts?
// group: explore
// writes: no
// cost: under 0.1 s -- one feature with all that hangs on it
// key: feature
// parameter: atlas string = only -- name of the atlas
// parameter: feature integer -- index of the feature
// parameter: contexts integer = 4 -- most contexts, the strongest
// column: feature integer -- index of the feature
// column: name string -- its caption
// column: class string -- `alive`, `dead` or `dense`
// column: firing_count integer -- tokens on which it fires
// column: density float -- share of the tokens on which it fires
// column: mean float -- mean activation where it fires
// column: max float -- largest activation
// column: top_tokens list<string> -- the items under its strongest firings
// column: texts list<string> -- where it fires most, its token between « and »
// column: text_activations list<float> -- its activation on each of these tokens
// column: geometry_sort string? -- what it is part of: a ring or another figure, a clique, a star, an edge or nothing
// column: role string? -- what it is to others: `ambiguous`, `absorbed`, `token family`, `parent`, `child` or `none`
// column: basis_sort string? -- what most of its edges rest on
// column: magnitude string? -- class of its activations: `set`, `variable`, `multi-peak` or `unclear`
// column: magnitude_cv float? -- their coefficient of variation
// column: n_peaks integer? -- peaks of their density
// column: peak_causes list<string>? -- what sets the firings of each peak apart
// column: peaks list<string> -- each peak: where, the share of the firings in it, its cause, and the evidence for that
// column: histogram list<integer>? -- activations by bins of one width
// column: entropy_correlation float? -- rank correlation of its activations with the model's uncertainty
// column: n_neighbours integer -- features with which it co-occurs on the backbone
// column: n_topics integer -- features of its topic
// column: n_exclusions integer -- features that it excludes
// column: neighbours list<string> -- the strongest of those with which it co-occurs, by index and name
// column: same list<string> -- features that fire on nearly the same tokens
// column: parents list<string> -- direct parents
// column: children list<string> -- direct children, the commonest first
// column: depth integer? -- pairs on the longest way down from a root
// column: children_kind string? -- `partition`, `facets` or `loose`
// column: absorbs list<string> -- commoner features in whose place it fires
// column: absorbed_by list<string> -- rarer features that fire in its place
// column: levels list<string> -- levels on which it is in a community
// column: clusters list<integer> -- number of the community on each of them
// column: cluster_names list<string> -- its caption
// column: cluster_shapes list<string> -- its class
// column: cluster_verdicts list<string> -- what its members' behaviour says; empty where that is not known
// column: roles list<string> -- the feature's role there
// column: member_halves list<integer> -- in how many halves of the documents it is in that community again; -1 where
//    that is not known
// column: ego_size integer? -- rarer neighbours (the leaves)
// column: ego_shape string? -- class of its ego subgraph
// column: ego_basis string? -- whether that class holds within vocabulary items
// column: ego_family string? -- `item`, `white space` or `punctuation` where hub and leaves are features of one token
// column: ego_hub_role string? -- `parent` or `modifier`
// column: ego_leaf_association float? -- association of two leaves under it: below 0 exclusive, above 0 joint
// column: ego_halves integer? -- in how many halves the class holds again
// column: ego_verdict string? -- what the behaviour of hub and leaves says
// column: hedges list<string> -- features with which it fires and whose encoder and decoder are both near its own
// column: letters list<string> -- first letters that it reads best of all features, by recall and precision
// column: stands_in list<string> -- words on which it brings the letter that the letter's feature is silent on
// column: shifted_by list<string> -- neighbours that it is stronger (above 0) or weaker with, in standard deviations,
//    the largest shifts
// column: manifolds list<string> -- figures that it is on, by number, geometry and name
// column: combines list<string> -- logical functions of two features that it fires like
// column: combined_by list<string> -- features that fire like a function of it and another
// column: matches list<string> -- the same feature in other atlases, by atlas, index and name
// column: neuronpedia_url string? -- its page on Neuronpedia

MATCH (f:Feature {uid: $atlas + ':' + toString($feature)})
WITH f,
  COLLECT { MATCH (f)-[r:FIRES_IN]->(c:Context) WHERE r.sample <> 'uniform'
            RETURN reduce(text = '', at IN range(0, size(c.tokens) - 1) |
                          text + CASE at WHEN c.place THEN '«' + c.tokens[at] + '»' ELSE c.tokens[at] END)
            ORDER BY abs(r.activation) DESC, c.context LIMIT $contexts } AS texts,
  COLLECT { MATCH (f)-[r:FIRES_IN]->(c:Context) WHERE r.sample <> 'uniform'
            RETURN r.activation ORDER BY abs(r.activation) DESC, c.context LIMIT $contexts } AS text_activations,
  COLLECT { MATCH (f)-[r:CO_OCCURS]-(g:Feature)
            RETURN toString(g.index) + ' ' + g.name ORDER BY r.phi DESC, g.index LIMIT 10 } AS neighbours,
  COLLECT { MATCH (f)-[:SAME_AS]-(g:Feature) RETURN toString(g.index) + ' ' + g.name ORDER BY g.index } AS same,
  COLLECT { MATCH (f)<-[:PARENT_OF]-(g:Feature) RETURN toString(g.index) + ' ' + g.name ORDER BY g.index } AS parents,
  COLLECT { MATCH (f)-[:PARENT_OF]->(g:Feature)
            RETURN toString(g.index) + ' ' + g.name ORDER BY g.firing_count DESC, g.index LIMIT 50 } AS children,
  COLLECT { MATCH (f)-[r:ABSORBS]->(g:Feature)
            RETURN toString(g.index) + ' ' + g.name + ' (' + r.status + ')' ORDER BY g.index } AS absorbs,
  COLLECT { MATCH (f)<-[r:ABSORBS]-(g:Feature)
            RETURN toString(g.index) + ' ' + g.name + ' (' + r.status + ')' ORDER BY g.index LIMIT 50 } AS absorbed_by,
  COLLECT { MATCH (f)-[r:HEDGES]-(g:Feature)
            RETURN toString(g.index) + ' ' + g.name
            ORDER BY r.decoder_cosine + r.encoder_cosine DESC, g.index LIMIT 10 } AS hedges,
  COLLECT { MATCH (f)-[:SPELLS]->(l:Letter)
            RETURN l.letter + ' (recall ' + toString(round(l.recall, 2)) + ', precision ' +
                   toString(round(l.precision, 2)) + ')' ORDER BY l.letter } AS letters,
  COLLECT { MATCH (f)-[r:STANDS_IN]->(l:Letter)
            RETURN l.letter + ' of «' + r.text + '»' + CASE WHEN r.absorbed THEN ' (absorbed)' ELSE '' END
            ORDER BY r.contribution DESC, l.letter, r.token_id LIMIT 10 } AS stands_in,
  COLLECT { MATCH (f)-[:ENDPOINT_OF]->(e:Edge)<-[:ENDPOINT_OF]-(g:Feature)
            WITH g, CASE f.index WHEN e.a THEN e.shift_a ELSE e.shift_b END AS shift
            WHERE shift IS NOT NULL
            RETURN toString(g.index) + ' ' + g.name + ' (' + toString(round(shift, 2)) + ')'
            ORDER BY abs(shift) DESC, g.index LIMIT 10 } AS shifted_by,
  COLLECT { MATCH (f)-[:PEAKS_AT]->(p:Peak)
            OPTIONAL MATCH (g:Feature {uid: f.atlas + ':' + toString(p.neighbour)})
            WITH p, g, CASE p.cause WHEN 'token' THEN [p.token_share, p.token_share_outside]
                                    WHEN 'neighbour' THEN [p.neighbour_share, p.neighbour_share_outside]
                                    WHEN 'ring' THEN [p.partner_share, p.partner_share_outside] END AS shares
            RETURN toString(round(p.at, 2)) + ' (' + toString(toInteger(round(100 * p.share))) + ' %): ' + p.cause +
                   coalesce(CASE p.cause WHEN 'token' THEN ' «' + p.token + '»'
                                         WHEN 'neighbour' THEN ' ' + toString(g.index) + ' ' + g.name
                                         WHEN 'ring' THEN ' ' + toString(p.manifold) END, '') +
                   coalesce(', ' + toString(toInteger(round(100 * shares[0]))) + ' % of its firings, ' +
                            toString(toInteger(round(100 * shares[1]))) + ' % of others', '') +
                   coalesce(CASE p.cause
                              WHEN 'uncertainty' THEN ', ' + toString(round(p.entropy_difference, 2)) + ' nats'
                              WHEN 'tokens' THEN ', ' + toString(toInteger(round(100 * p.tokens_explained))) + ' % predicted'
                            END, '')
            ORDER BY p.peak } AS peaks,
  COLLECT { MATCH (f)-[:ON_MANIFOLD]->(m:Manifold)
            RETURN toString(m.manifold) + ' ' + m.geometry + ': ' + m.name ORDER BY m.manifold } AS manifolds,
  COLLECT { MATCH (f)-[r:COMBINES]->(g:Feature) WHERE r.a = g.index
            RETURN r.kind + ' of ' + toString(r.a) + ' and ' + toString(r.b) ORDER BY r.kind, r.a, r.b } AS combines,
  COLLECT { MATCH (f)<-[r:COMBINES]-(g:Feature)
            RETURN toString(g.index) + ' is ' + r.kind + ' of ' + toString(r.a) + ' and ' + toString(r.b)
            ORDER BY g.index, r.kind, r.a, r.b LIMIT 50 } AS combined_by,
  COLLECT { MATCH (f)-[:MATCHES]-(g:Feature)
            RETURN DISTINCT g.atlas + ' ' + toString(g.index) + ' ' + g.name AS match ORDER BY match } AS matches,
  COLLECT { MATCH (f)-[r:IN_CLUSTER]->(c:Cluster)
            RETURN [c.level, c.cluster, c.name, coalesce(c.shape, ''), coalesce(c.verdict, ''), coalesce(r.role, ''),
                    coalesce(r.halves, -1)]
            ORDER BY c.size DESC, CASE c.level WHEN 'coarse' THEN 0 WHEN 'middle' THEN 1 ELSE 2 END } AS communities
RETURN f.index AS feature, f.name AS name, f.class AS class, f.firing_count AS firing_count, f.density AS density,
       f.mean AS mean, f.max AS max, f.top_tokens AS top_tokens, texts, text_activations, f.geometry_sort AS geometry_sort,
       f.role AS role, f.basis_sort AS basis_sort, f.magnitude AS magnitude,
       f.magnitude_cv AS magnitude_cv, f.n_peaks AS n_peaks, f.peak_causes AS peak_causes, peaks, f.histogram AS histogram,
       f.entropy_correlation AS entropy_correlation, COUNT { (f)-[:CO_OCCURS]-() } AS n_neighbours,
       COUNT { (f)-[:CO_TOPIC]-() } AS n_topics, COUNT { (f)-[:EXCLUDES]-() } AS n_exclusions, neighbours, same,
       parents, children, f.depth AS depth, f.children_kind AS children_kind, absorbs, absorbed_by,
       [c IN communities | c[0]] AS levels, [c IN communities | c[1]] AS clusters,
       [c IN communities | c[2]] AS cluster_names, [c IN communities | c[3]] AS cluster_shapes,
       [c IN communities | c[4]] AS cluster_verdicts, [c IN communities | c[5]] AS roles,
       [c IN communities | c[6]] AS member_halves, f.ego_size AS ego_size, f.ego_shape AS ego_shape,
       f.ego_basis AS ego_basis, f.ego_family AS ego_family, f.ego_hub_role AS ego_hub_role,
       f.ego_leaf_association AS ego_leaf_association, f.ego_halves AS ego_halves, f.ego_verdict AS ego_verdict,
       hedges, letters, stands_in, shifted_by, manifolds, combines, combined_by, matches, f.neuronpedia_url AS neuronpedia_url
ORDER BY feature
LIMIT 1

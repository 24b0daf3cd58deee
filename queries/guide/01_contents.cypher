// title: What is in here
// see: One row: the model, the SAE and the text behind this atlas, and how many features, edges and communities it
//    holds. A feature is one direction of the SAE; an edge says that two of them fire on the same token more often than
//    their documents explain.
MATCH (a:Atlas {uid: $atlas})
RETURN a.model AS model, a.sae_id AS sae, a.corpus AS corpus, a.n_tokens AS tokens, a.n_alive AS alive_features,
       COUNT { MATCH (e:Edge {atlas: $atlas}) WHERE e.kind = 'CO_OCCURS' } AS co_occurrences,
       COUNT { MATCH (c:Cluster {atlas: $atlas}) WHERE c.level = 'fine' } AS fine_communities,
       a.complete AS complete

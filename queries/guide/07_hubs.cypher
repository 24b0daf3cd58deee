// title: Hubs with exclusive leaves
// see: A table of hubs, those first that both halves of the documents show again. Below 0 bits the leaves avoid each
//    other under the hub. `lexical`: a token is one word, so words exclude each other for free; `contextual`: they do
//    so on one and the same word, too.
MATCH (h:EgoHubSpoke {atlas: $atlas})
RETURN h.index AS hub, h.name AS name, h.ego_size AS leaves, round(h.ego_leaf_association, 2) AS bits,
       h.ego_basis AS basis, h.ego_halves AS halves
ORDER BY coalesce(halves, 0) DESC, bits, hub
LIMIT 50

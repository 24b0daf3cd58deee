// title: The features of a figure
// question: Which features hold the items of this ring, arc, line, helix or simplex?
// group: shape
// writes: no
// cost: under 0.1 s -- the features of one figure
// key: feature
// parameter: atlas string = only -- name of the atlas
// parameter: manifold integer = 0 -- number of the figure; claims come first
// parameter: limit integer = 100 -- most rows
// column: feature integer -- index of the feature
// column: name string -- its caption
// column: share float -- share of the set's activation on the items that is the feature's
// column: top_item string -- the item on which it is strongest
// column: firing_count integer -- tokens on which it fires
// column: geometry string -- of the figure
// column: items list<string> -- its points in the order found

MATCH (f:Feature)-[r:ON_MANIFOLD]->(m:Manifold {uid: $atlas + ':manifold:' + toString($manifold)})
RETURN f.index AS feature, f.name AS name, r.share AS share, r.top_item AS top_item, f.firing_count AS firing_count,
       m.geometry AS geometry, m.order AS items
ORDER BY share DESC, feature
LIMIT $limit

// title: Rings
// question: Which items lie on a ring, how sure is it, are they in a known order, and does the decoder alone show it?
// group: shape
// writes: no
// cost: under 0.1 s -- the rings that are claimed
// key: manifold
// parameter: atlas string = only -- name of the atlas
// parameter: limit integer = 50 -- most rows
// column: manifold integer -- number of the ring
// column: items list<string> -- its points in the order found
// column: size integer -- features that it is rebuilt from
// column: radius_cv float -- coefficient of variation of the radii; 0 on a circle
// column: largest_gap float -- largest angle between neighbours, over the even one
// column: closure float? -- likeness across that gap, over that of other neighbours
// column: p float? -- against random point sets of the same covariance
// column: q float? -- adjusted over the distinct sets of points
// column: cyclic_list string? -- the known cyclic list that the items match
// column: order_p float? -- share of orders that are as close to the list's
// column: decoder_variance float? -- share of variance of the decoder directions on their first plane
// column: decoder_ring boolean? -- whether the decoder directions alone pass for a ring

MATCH (m:Manifold {atlas: $atlas, geometry: 'ring'})
RETURN m.manifold AS manifold, m.order AS items, m.size AS size, m.radius_cv AS radius_cv,
       m.largest_gap AS largest_gap, m.closure AS closure, m.p AS p, m.q AS q, m.cyclic_list AS cyclic_list,
       m.order_p AS order_p, m.decoder_variance AS decoder_variance, m.decoder_ring AS decoder_ring
ORDER BY p, manifold
LIMIT $limit

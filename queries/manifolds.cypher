// title: Rings, arcs, lines and other figures
// question: Which vocabulary items do sets of features hold on a ring, an arc, a line, a helix or a simplex?
// group: shape
// writes: no
// cost: under 0.1 s -- the figures that are claimed, a few dozen
// key: manifold
// parameter: atlas string = only -- name of the atlas
// parameter: geometry string? in ring, helix, arc, line, simplex = null -- only figures of this kind
// parameter: limit integer = 50 -- most rows
// column: manifold integer -- number of the figure
// column: geometry string -- `ring`, `helix`, `arc`, `line` or `simplex`
// column: points string -- `items` or `members`
// column: items list<string> -- its points in the order found, which is not tested
// column: size integer -- features that it is rebuilt from
// column: plane_variance float -- share of the points' variance on the plane
// column: simplex_variance float -- what a simplex of as many points has
// column: p float? -- against random point sets of the same covariance
// column: q float? -- adjusted over the distinct sets of points
// column: permuted float? -- share of permutations of the items' names that meet the rule
// column: cyclic_list string? -- the known cyclic list that the items match

MATCH (m:Manifold {atlas: $atlas})
WHERE m.geometry <> 'undetermined' AND ($geometry IS NULL OR m.geometry = $geometry)
RETURN m.manifold AS manifold, m.geometry AS geometry, m.points AS points, m.order AS items, m.size AS size,
       m.plane_variance AS plane_variance, m.simplex_variance AS simplex_variance, m.p AS p, m.q AS q,
       m.permuted AS permuted, m.cyclic_list AS cyclic_list
ORDER BY manifold
LIMIT $limit

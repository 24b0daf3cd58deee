// title: Edges by kind and basis
// question: How many edges of each kind does the backbone hold, and how many do the tokens alone explain?
// group: quality
// writes: no
// cost: over 1 s -- several measures of every edge are read
// key: kind, basis
// parameter: atlas string = only -- name of the atlas
// column: kind string -- `CO_OCCURS`, `CO_TOPIC` or `EXCLUDES`
// column: basis string -- what the tokens alone explain
// column: n_edges integer -- edges of that kind and basis
// column: median_lift_d float -- median of joint firings over what their documents explain
// column: median_decoder_cosine float -- median cosine of the decoder directions
// column: largest_q float -- largest adjusted p
// column: n_explained integer -- edges that a third feature explains

MATCH (e:Edge {atlas: $atlas})
WHERE e.phi >= -1
RETURN e.kind AS kind, e.basis AS basis, count(*) AS n_edges, percentileCont(e.lift_d, 0.5) AS median_lift_d,
       percentileCont(e.decoder_cosine, 0.5) AS median_decoder_cosine, max(e.q) AS largest_q,
       count(e.explained_by) AS n_explained
ORDER BY kind, n_edges DESC, basis
LIMIT 100

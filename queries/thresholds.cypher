// title: Thresholds of the classes
// question: With which thresholds were the communities and the ego subgraphs of an atlas classified?
// group: housekeeping
// writes: no
// cost: under 0.1 s -- one node
// key: query, parameter
// parameter: atlas string = only -- name of the atlas
// column: query string -- the classifying query: `classify_clusters` or `classify_egos`
// column: parameter string -- name of the threshold
// column: value float? -- its value; empty where that query runs, or has not reached its end

MATCH (a:Atlas {uid: $atlas})
UNWIND [
  {query: 'classify_clusters', parameter: 'min_density', value: a.min_density},
  {query: 'classify_clusters', parameter: 'min_centralization', value: a.min_centralization},
  {query: 'classify_clusters', parameter: 'min_testable', value: a.min_testable},
  {query: 'classify_clusters', parameter: 'min_cover', value: a.min_cover},
  {query: 'classify_clusters', parameter: 'min_depleted', value: a.min_depleted},
  {query: 'classify_clusters', parameter: 'min_margin', value: a.min_margin},
  {query: 'classify_egos', parameter: 'min_leaves', value: a.ego_min_leaves},
  {query: 'classify_egos', parameter: 'min_testable', value: a.ego_min_testable},
  {query: 'classify_egos', parameter: 'min_cover', value: a.ego_min_cover},
  {query: 'classify_egos', parameter: 'min_depleted', value: a.ego_min_depleted},
  {query: 'classify_egos', parameter: 'min_enriched', value: a.ego_min_enriched}
] AS threshold
RETURN threshold.query AS query, threshold.parameter AS parameter, toFloat(threshold.value) AS value
ORDER BY query, parameter
LIMIT 100

// title: The levels side by side
// question: How many communities has each level, how large and how sure are they?
// group: compare
// writes: no
// cost: under 1 s -- every community is looked at
// key: level
// parameter: atlas string = only -- name of the atlas
// column: level string -- `coarse`, `middle` or `fine`
// column: resolution float -- gamma of the constant Potts model
// column: n_clusters integer -- communities of two or more
// column: n_features integer -- features in them
// column: largest integer -- members of the largest
// column: median_size float -- median number of members
// column: mean_density float -- mean density of those of four or more
// column: mean_stability float? -- mean stability over seeds
// column: mean_persistence float? -- mean persistence over documents
// column: fully_connected integer -- those fully connected
// column: stars integer -- those hub-spoke or star-like

MATCH (c:Cluster {atlas: $atlas})
WHERE c.size >= 2
WITH c.level AS level, max(c.resolution) AS resolution, count(*) AS n_clusters, sum(c.size) AS n_features,
     max(c.size) AS largest, percentileCont(toFloat(c.size), 0.5) AS median_size,
     round(coalesce(avg(CASE WHEN c.size >= 4 THEN c.density END), 0.0), 12) AS mean_density,
     round(avg(c.stability), 12) AS mean_stability, round(avg(c.persistence), 12) AS mean_persistence,
     sum(CASE WHEN c.shape = 'fully connected' THEN 1 ELSE 0 END) AS fully_connected,
     sum(CASE WHEN c.shape IN ['hub-spoke', 'star-like'] THEN 1 ELSE 0 END) AS stars
RETURN level, resolution, n_clusters, n_features, largest, median_size, mean_density, mean_stability,
       mean_persistence, fully_connected, stars
ORDER BY resolution, level
LIMIT 10

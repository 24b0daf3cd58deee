// title: Census of features
// question: What portion of the features is of which sort, and what portion of another atlas's, such as a control's?
// group: quality
// writes: no
// cost: under 1 s -- every feature is looked at
// key: facet, value
// parameter: atlas string = only -- name of the atlas
// parameter: other_atlas string? = null -- name of another, whose shares are put beside
// column: facet string -- `magnitude`, `geometry_sort`, `role` or `basis_sort`
// column: value string -- the class; `unclassed` where there is none
// column: count integer -- alive features of that class
// column: share float -- of all alive features
// column: low float -- lower end of Wilson's 95 % interval, which takes features for independent; `atlas census` does not
// column: high float -- upper end
// column: other_share float? -- the other atlas's share

UNWIND ['magnitude', 'geometry_sort', 'role', 'basis_sort'] AS facet
MATCH (f:Feature)
WHERE f.atlas IN [$atlas, $other_atlas] AND f.role IS NOT NULL
WITH facet, coalesce(f[facet], 'unclassed') AS value, f.atlas = $atlas AS own, count(*) AS n
WITH facet, collect({value: value, own: own, n: n}) AS classes
WITH facet, classes, toFloat(reduce(sum = 0, c IN classes | sum + CASE WHEN c.own THEN c.n ELSE 0 END)) AS all,
     reduce(sum = 0, c IN classes | sum + CASE WHEN c.own THEN 0 ELSE c.n END) AS other_all
UNWIND classes AS class
WITH facet, all, other_all, class.value AS value, sum(CASE WHEN class.own THEN class.n ELSE 0 END) AS count,
     sum(CASE WHEN class.own THEN 0 ELSE class.n END) AS other_count
WHERE all > 0
WITH *, count / all AS share, 3.8414588207 / all AS z
WITH *, sqrt(z * (share * (1 - share) + z / 4)) AS half
RETURN facet, value, count, share, (share + z / 2 - half) / (1 + z) AS low, (share + z / 2 + half) / (1 + z) AS high,
       CASE WHEN other_all > 0 THEN toFloat(other_count) / other_all END AS other_share
ORDER BY facet, count DESC, value
LIMIT 100

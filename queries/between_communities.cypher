// title: Features between communities
// question: Which features have a second community that holds nearly as much of them: two senses, or a bridge?
// group: communities
// writes: no
// cost: under 1 s -- every membership of the level is looked at
// key: feature
// parameter: atlas string = only -- name of the atlas
// parameter: level string in coarse, middle, fine = "fine" -- level of the communities
// parameter: min_share float = 0.3 -- smallest share of the phi of its edges that goes to the second community
// parameter: limit integer = 50 -- most rows
// column: feature integer -- index of the feature
// column: name string -- its caption
// column: cluster integer -- number of its community
// column: cluster_name string -- caption of its community
// column: second_cluster integer -- number of the second
// column: second_name string -- caption of the second
// column: second_share float -- share of the phi of its edges that goes there
// column: stability float? -- how surely it belongs to the first, over 20 seeds

MATCH (c:Cluster {atlas: $atlas, level: $level})<-[r:IN_CLUSTER]-(f:Feature)
WHERE r.second_share >= $min_share
WITH c, r, f
ORDER BY r.second_share DESC, f.index
LIMIT $limit
MATCH (d:Cluster {uid: $atlas + ':' + $level + ':' + toString(r.second_cluster)})
RETURN f.index AS feature, f.name AS name, c.cluster AS cluster, c.name AS cluster_name,
       r.second_cluster AS second_cluster, d.name AS second_name, r.second_share AS second_share,
       r.stability AS stability
ORDER BY second_share DESC, feature
LIMIT $limit

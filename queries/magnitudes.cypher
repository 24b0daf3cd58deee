// title: Features by magnitude
// question: Which features fire with one strength, with any, or with one of a few?
// group: explore
// writes: no
// cost: under 1 s -- every feature is looked at
// key: feature
// parameter: atlas string = only -- name of the atlas
// parameter: magnitude string? in set, variable, multi-peak, unclear = null -- class of their activations; null reads
//     all
// parameter: limit integer = 50 -- most rows
// column: feature integer -- index of the feature
// column: name string -- its caption
// column: magnitude string -- class of its activations
// column: positive_count integer -- activations that the class is of
// column: magnitude_mean float -- their mean, above the threshold
// column: magnitude_cv float -- standard deviation over mean: up to .35 is narrow
// column: n_peaks integer -- peaks of their smoothed density
// column: dip_p float -- p-value of Hartigan's dip: below .01 there is more than one peak
// column: histogram list<integer> -- activations by bins of one width, from 0 to `histogram_high`
// column: histogram_high float -- where the last bin ends

MATCH (f:Feature {atlas: $atlas})
WHERE f.magnitude IS NOT NULL AND ($magnitude IS NULL OR f.magnitude = $magnitude)
RETURN f.index AS feature, f.name AS name, f.magnitude AS magnitude, f.positive_count AS positive_count,
       f.magnitude_mean AS magnitude_mean, f.magnitude_cv AS magnitude_cv, f.n_peaks AS n_peaks, f.dip_p AS dip_p,
       f.histogram AS histogram, f.histogram_high AS histogram_high
ORDER BY magnitude_cv, feature
LIMIT $limit

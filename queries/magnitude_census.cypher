// title: Classes of magnitude
// question: How many features are on or off, how many of any strength, and how many have two peaks or more?
// group: explore
// writes: no
// cost: under 1 s -- every feature is looked at
// key: magnitude
// parameter: atlas string = only -- name of the atlas
// column: magnitude string -- `set` (one narrow peak), `variable` (one wide), `multi-peak`, or `unclear`
// column: features integer -- features of the class
// column: share float -- of the features that have a class: those with 200 activations or more
// column: median_cv float -- median coefficient of variation of their activations
// column: median_firings integer -- median number of their activations

MATCH (f:Feature {atlas: $atlas})
WHERE f.magnitude IS NOT NULL
WITH count(f) AS n, collect(f) AS all
UNWIND all AS f
WITH n, f.magnitude AS magnitude, count(f) AS features,
     percentileCont(f.magnitude_cv, 0.5) AS median_cv, percentileDisc(f.positive_count, 0.5) AS median_firings
RETURN magnitude, features, toFloat(features) / n AS share, median_cv, median_firings
ORDER BY features DESC, magnitude
LIMIT 10

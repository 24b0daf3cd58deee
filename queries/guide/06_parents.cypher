// title: What stands above what
// see: An arrow leads from a feature to a narrower one, which hardly fires where the first does not. The root has no
//    parent. A feature with two arrows into it has two parents: this is no tree.
// picture: browser-parents.png -- days of the week under one root, arrows from wider to narrower features
MATCH (:Feature {uid: $atlas + ':' + toString($parent)})-[:PARENT_OF]->{0,12}(wider:Feature)
WITH DISTINCT wider
MATCH path = (wider)-[:PARENT_OF]->(narrower:Feature)
RETURN path
LIMIT 149

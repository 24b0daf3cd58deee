// title: What a feature absorbs, and what absorbs it
// question: Which features fire in another's place, as far as directions and firings tell, and with what evidence?
// group: geometry
// writes: no
// cost: under 1 s -- every such pair is looked at
// key: child, parent
// parameter: atlas string = only -- name of the atlas
// parameter: feature integer? = null -- index of a feature on either side; null reads all
// parameter: status string? in candidate, finding, dropped = null -- what the intervention made of the pair; null reads all
// parameter: limit integer = 50 -- most rows
// column: child integer -- index of the feature that fires in the other's place
// column: child_name string -- its caption
// column: parent integer -- index of the commoner feature, silent or weak there
// column: parent_name string -- its caption
// column: status string -- `candidate`, or after the intervention `finding` or `dropped`
// column: kind string -- `full` or `partial`
// column: same_item boolean -- whether both are features of one vocabulary item: then one word is split by context
// column: decoder_cosine float -- cosine of the two decoder directions
// column: encoder_cosine float? -- cosine of the two encoder directions
// column: contribution float -- part of the parent's usual strength that the child brings along its direction
// column: readout_share float -- share of these tokens on which the parent's direction is there all the same
// column: p_parent_given_child float -- share of the child's firings on which the parent fires
// column: revived_share float? -- share of tokens on which the parent comes back once the child's own part is gone
// column: effect_cosine float? -- likeness of what the two do to the next token

MATCH (child:Feature {atlas: $atlas})-[r:ABSORBS]->(parent:Feature)
WHERE ($feature IS NULL OR $feature IN [child.index, parent.index]) AND ($status IS NULL OR r.status = $status)
RETURN child.index AS child, child.name AS child_name, parent.index AS parent, parent.name AS parent_name,
       r.status AS status, r.kind AS kind, r.same_item AS same_item, r.decoder_cosine AS decoder_cosine,
       r.encoder_cosine AS encoder_cosine, r.contribution AS contribution, r.readout_share AS readout_share,
       r.p_parent_given_child_any AS p_parent_given_child, r.revived_share AS revived_share,
       r.effect_cosine AS effect_cosine
ORDER BY contribution DESC, child, parent
LIMIT $limit

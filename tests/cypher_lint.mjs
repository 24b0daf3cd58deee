// Lints statements with Neo4j's own language tools: a JSON object on stdin, the findings as a JSON list on stdout.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";

const { lintCypherQuery } = createRequire(`${process.argv[2]}/`)("@neo4j-cypher/language-support");
const { schema, statements } = JSON.parse(readFileSync(0, "utf8"));
const found = [];
for (const { name, text, parameters } of statements)
  for (const { message, range } of lintCypherQuery(text, { ...schema, parameters }).diagnostics)
    found.push([name, range.start.line + 1, message]);
process.stdout.write(JSON.stringify(found));

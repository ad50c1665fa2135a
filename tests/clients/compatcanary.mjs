// CompatCanary (npm), as it comes: node compatcanary.mjs PATH-OF-ITS-CLI http://127.0.0.1:8080
//
// What fails is listed, and fails: the day one of these passes, this list and docs/clients.md are wrong.
import { spawnSync } from "node:child_process";

const FAILING = { "chat.tool_call": /tool_choice/, "chat.structured_output": /response_format/ };

const [cli, url] = process.argv.slice(2);
const words = ["scan", "--base-url", `${url}/v1`, "--model", "prosqa", "--format", "json", "--fail-on", "never"];
const run = spawnSync(process.execPath, [cli, ...words], { encoding: "utf8" });
if (run.status !== 0) throw new Error(run.stderr || run.stdout);
const { results } = JSON.parse(run.stdout);
let wrong = results.length < 7 ? ["fewer than seven probes"] : [];
for (const { id, status, summary, error, ...rest } of results) {
  console.log(`  ${status} ${id}: ${summary}`);
  const expected = FAILING[id];
  const said = JSON.stringify({ summary, error, ...rest });
  if (!expected && status !== "pass") wrong.push(`${id}: ${said}`);
  if (expected && (status === "pass" || !expected.test(said))) wrong.push(`${id} is expected to be refused by name: ${said}`);
}
if (wrong.length) throw new Error(wrong.join("\n"));

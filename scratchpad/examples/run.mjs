// Node 20 runs no TypeScript: `node scratchpad/examples/run.mjs dial-and-talk` leaves the types out and runs the rest.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs"
import { fileURLToPath } from "node:url"
import ts from "typescript"

const here = new URL("./", import.meta.url)
// Each of recipes/ needs a server, and says which.
const names = readdirSync(here, { recursive: true }).filter((file) => file.endsWith(".ts")).map((file) =>
  file.slice(0, -3)
)
const [name, ...args] = process.argv.slice(2)

if (!names.includes(name)) {
  console.error(`which one? ${names.join(", ")}`)
  process.exitCode = 2
} else {
  const output = new URL(`.tmp/${name}.mjs`, here)
  mkdirSync(new URL("./", output), { recursive: true })
  const { outputText } = ts.transpileModule(readFileSync(new URL(`${name}.ts`, here), "utf8"), {
    fileName: fileURLToPath(new URL(`${name}.ts`, here)),
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true }
  })
  writeFileSync(output, outputText)
  const { main } = await import(output.href)
  await main?.(...args)
}

// No `let` outside src/node and src/testing, except with its reason in the comment above: `// let: <reason>`.
// A line scan and not a lint rule: oxlint has none that forbids `let` itself.
import { readdirSync, readFileSync } from "node:fs"
import { join } from "node:path"
import { root } from "./lib.mjs"

const declaration = /^\s*(?:export\s+)?let\s|\bfor\s*\(\s*let\s/
const reason = /^\s*\/\/ let: \S/

const hasReason = (lines, index) => {
  const above = lines[index - 1]
  if (above === undefined || !/^\s*\/\//.test(above)) return false
  return reason.test(above) || hasReason(lines, index - 1)
}

const found = readdirSync(join(root, "src"), { recursive: true })
  .filter((file) => file.endsWith(".ts") && !/^(?:node|testing)\//.test(file))
  .flatMap((file) => {
    const lines = readFileSync(join(root, "src", file), "utf8").split("\n")
    return lines.flatMap((line, index) =>
      declaration.test(line) && !hasReason(lines, index) ? [`src/${file}:${index + 1}: ${line.trim()}`] : []
    )
  })

if (found.length > 0) {
  console.error(`mutable \`let\` without \`// let: <reason>\` above it:\n${found.join("\n")}`)
  process.exitCode = 1
}
